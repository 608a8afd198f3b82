//! Seats: looked at in pages, taken into a booking, given back.

mod list;
mod release;
mod select;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list::list_seats)).routes(routes!(release::release_seat))
}

/// The one that takes a place in a line.
pub fn lines() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(select::select_seat))
}
