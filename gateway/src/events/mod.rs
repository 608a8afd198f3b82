//! What is on: events, their seat maps, and what is left.

mod archive;
mod availability;
mod list;
mod listed;
mod search;
mod seatmap;
mod show;

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::{EventId, Money};
use shared::shop::{Event, Lane};
use shared::store::{ArtistRecord, ListedArtist};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Code, Problem};

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_events))
        .routes(routes!(search::search_events))
        .routes(routes!(archive::list_archive))
        .routes(routes!(show::show_event))
        .routes(routes!(seatmap::show_seatmap))
        .routes(routes!(availability::show_availability))
}

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    id: EventId,
    name: String,
    description: String,
    venue: VenueView,
    artists: Vec<ArtistView>,
    starts_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<DateTime<Utc>>,
    sales_open_at: DateTime<Utc>,
    sales_close_at: DateTime<Utc>,
    total_seats: u64,
    /// Seats and room in areas that nobody has.
    available_seats: u64,
    price_from: Option<Money>,
    /// Places that one person may have.
    seat_limit: u32,
    /// Seconds that a reservation holds.
    hold_seconds: u32,
    status: SaleStatus,
    queue_paused: bool,
    queue_message: Option<String>,
}

/// Whether an event is on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SaleStatus {
    /// Not yet.
    Upcoming,
    /// Now.
    OnSale,
    /// No longer.
    Closed,
    /// It does not take place.
    Cancelled,
}

impl SaleStatus {
    fn at(now: DateTime<Utc>, opens: DateTime<Utc>, closes: DateTime<Utc>) -> Self {
        if now < opens {
            Self::Upcoming
        } else if now <= closes {
            Self::OnSale
        } else {
            Self::Closed
        }
    }
}

/// Where it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct VenueView {
    name: String,
    city: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
}

/// Who plays. Lists leave out what takes more than a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArtistView {
    id: i64,
    name: String,
    genre: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    occupation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    biography: Option<String>,
    /// Albums, films, books.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    works: Vec<String>,
}

impl From<&ArtistRecord> for ArtistView {
    fn from(artist: &ArtistRecord) -> Self {
        let ArtistRecord { id, name, genre, occupation, biography, works } = artist.clone();
        Self { id, name, genre, occupation, biography, works }
    }
}

impl From<ListedArtist> for ArtistView {
    fn from(artist: ListedArtist) -> Self {
        let ListedArtist { id, name, genre } = artist;
        Self { id, name, genre, occupation: None, biography: None, works: Vec::new() }
    }
}

impl EventView {
    fn new(event: &Event, lane: &Lane) -> Self {
        let record = &event.record;
        let free = lane.seats.read().as_ref().map_or(record.capacity, shared::shop::LiveSeats::free);
        let pause = lane.board.read().pause().clone();
        let now = event.now();
        let status = if record.is_cancelled {
            SaleStatus::Cancelled
        } else {
            SaleStatus::at(now, record.sales_open_at, record.sales_close_at)
        };
        Self {
            id: record.id,
            name: record.name.clone(),
            description: record.description.clone(),
            venue: VenueView {
                name: record.venue.clone(),
                city: record.city.clone(),
                address: record.address.clone(),
            },
            artists: record.artists.iter().map(ArtistView::from).collect(),
            starts_at: record.starts_at,
            ends_at: record.ends_at,
            sales_open_at: record.sales_open_at,
            sales_close_at: record.sales_close_at,
            total_seats: record.capacity,
            available_seats: free,
            price_from: record.price_from.clone(),
            seat_limit: record.seat_limit,
            hold_seconds: record.hold_seconds,
            status,
            queue_paused: pause.paused,
            queue_message: (!pause.message.is_empty()).then_some(pause.message),
        }
    }
}

/// An event with its seats in memory.
pub(crate) async fn load(app: &App, id: EventId) -> Result<(Event, std::sync::Arc<Lane>), Problem> {
    let event = app.catalogue.event(id).await?;
    let event = event.ok_or_else(|| Problem::new(Code::NotFound, format!("There is no event {id}")))?;
    let lane = app.desk.lanes().lane(id);
    app.desk.lanes().load_seats(&lane, &event.layout).await?;
    Ok((event, lane))
}
