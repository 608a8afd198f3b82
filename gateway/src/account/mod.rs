//! One's own account: what is in it, what changes with a code, the e-mail address and its verification, the password, the
//! second factor, and all one's data.

mod changes;
mod history;
mod password;
mod personal_data;
mod profile;
mod second_factor;
mod verification;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(profile::show_account, profile::edit_account, personal_data::erase_account))
        .routes(routes!(changes::request_change))
        .routes(routes!(changes::confirm_change))
        .routes(routes!(verification::request_verification))
        .routes(routes!(verification::confirm_verification))
        .routes(routes!(password::change_password))
        .routes(routes!(second_factor::begin_second_factor))
        .routes(routes!(second_factor::confirm_second_factor))
        .routes(routes!(second_factor::disable_second_factor))
        .routes(routes!(history::show_history))
        .routes(routes!(personal_data::export_account))
}
