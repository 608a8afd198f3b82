//! Tickets of whoever bought them, as data and as documents; the public keys that their codes are checked with.

mod documents;
mod keys;
mod list;
mod show;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_tickets))
        .routes(routes!(show::show_ticket))
        .routes(routes!(documents::print_ticket))
        .routes(routes!(documents::print_calendar))
        .routes(routes!(documents::draw_qr))
        .routes(routes!(keys::list_keys))
}
