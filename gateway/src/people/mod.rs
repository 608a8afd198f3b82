//! What admins do: look people up, change roles, give keys to services.

mod api_keys;
mod users;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(users::list_users))
        .routes(routes!(users::change_role))
        .routes(routes!(api_keys::list_api_keys, api_keys::make_api_key))
        .routes(routes!(api_keys::revoke_api_key))
}
