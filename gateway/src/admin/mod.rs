//! What admins do, one file a resource.

mod artists;
mod events;
mod figures;
mod layouts;
mod seats;
mod stream;
mod venues;

use axum::extract::DefaultBodyLimit;
use serde::{Deserialize, Deserializer};
use shared::shop::admin::Change;
use shared::store::{By, Part};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::{Admin, ClientIp};
use crate::problem::{Code, Problem};

/// A layout of some 200,000 seats.
const LAYOUT_BODY: usize = 32 * 1024 * 1024;
/// Two thousand seats, or a biography.
const LONG_BODY: usize = 1024 * 1024;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(catalogue())
        .routes(routes!(figures::show_figures))
        .routes(routes!(figures::show_event_figures))
        .routes(routes!(stream::show_stream))
}

/// Artists, venues, layouts, events and their places.
fn catalogue() -> OpenApiRouter<App> {
    let long = OpenApiRouter::new()
        .routes(routes!(artists::list_artists, artists::create_artist))
        .routes(routes!(artists::show_artist, artists::change_artist, artists::delete_artist))
        .routes(routes!(venues::list_venues, venues::create_venue))
        .routes(routes!(venues::show_venue, venues::change_venue, venues::delete_venue))
        .routes(routes!(events::list_events, events::create_event))
        .routes(routes!(events::show_event, events::change_event, events::delete_event))
        .routes(routes!(events::cancel_event))
        .routes(routes!(seats::add_seats))
        .routes(routes!(seats::remove_seats))
        .routes(routes!(seats::remove_seat))
        .routes(routes!(seats::resize_area))
        .layer(DefaultBodyLimit::max(LONG_BODY));
    let layouts = OpenApiRouter::new()
        .routes(routes!(layouts::list_layouts, layouts::import_layout))
        .routes(routes!(layouts::show_layout, layouts::change_layout, layouts::delete_layout))
        .routes(routes!(layouts::show_places, layouts::replace_places))
        .layer(DefaultBodyLimit::max(LAYOUT_BODY));
    long.merge(layouts)
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageQuery {
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 10_000)]
    page: u32,
    /// 1 to 100.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    page_size: u32,
    /// The beginning of a name.
    #[param(max_length = 200)]
    name: Option<String>,
}

fn first() -> u32 {
    1
}

fn usual() -> u32 {
    20
}

impl PageQuery {
    fn part(&self) -> Result<Part, Problem> {
        if !(1..=10_000).contains(&self.page) || !(1..=100).contains(&self.page_size) {
            return Err(Problem::new(Code::Validation, "page must be 1 to 10,000 and pageSize 1 to 100"));
        }
        let (page, size) = (i64::from(self.page), i64::from(self.page_size));
        Ok(Part { offset: (page - 1) * size, limit: size })
    }

    /// The beginning of a name; nothing when none is given.
    fn beginning(&self) -> Result<&str, Problem> {
        let name = self.name.as_deref().unwrap_or_default();
        if name.chars().count() > 200 || name.chars().any(char::is_control) {
            return Err(Problem::new(Code::Validation, "name must be 200 characters at most"));
        }
        Ok(name)
    }
}

/// Who does it; counted against what one account may change.
fn by(app: &App, Admin(caller): Admin, ClientIp(ip): ClientIp) -> Result<By, Problem> {
    app.limits.check_write(caller.user)?;
    Ok(By { user: caller.user, ip: Some(ip) })
}

/// `null` removes, a value sets, and what is not there stays.
fn change<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Change<T>, D::Error> {
    let value = Option::<T>::deserialize(deserializer)?;
    Ok(value.map_or(Change::Remove, Change::Set))
}
