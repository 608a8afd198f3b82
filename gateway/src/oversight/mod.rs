//! What those who run Usher see: the audit log, errors, activity.

mod activity;
mod audit;
mod errors;
mod refused;

pub use refused::note_refused;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(audit::search_audit))
        .routes(routes!(errors::list_errors))
        .routes(routes!(activity::show_activity))
}
