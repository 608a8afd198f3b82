//! Events as lists and search answer them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::EventId;
use shared::store::{Found, Listing, WantedListings};
use utoipa::ToSchema;

use super::{EventView, SaleStatus, VenueView};
use crate::app::App;
use crate::problem::{Code, Problem};

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventList {
    items: Vec<EventView>,
    page: u32,
    page_size: u32,
    total: u64,
    /// There may be more than `total`: 10,000 are counted, and of a search 300.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_more: bool,
}

/// What is known of an event only now.
struct Live {
    total: u64,
    free: u64,
}

/// Reads a page and its size.
pub(super) fn wanted(is_past: bool, page: u32, page_size: u32) -> Result<WantedListings, Problem> {
    if !(1..=1_000_000).contains(&page) || !(1..=100).contains(&page_size) {
        return Err(Problem::new(Code::Validation, "page must be 1 to 1,000,000 and pageSize 1 to 100"));
    }
    let wanted = WantedListings { is_past, offset: (page - 1).saturating_mul(page_size), limit: page_size };
    if wanted.is_reached() {
        Ok(wanted)
    } else {
        Err(Problem::new(
            Code::Validation,
            "pages reach as far as 10,000 events; go on with date_from or date_to",
        ))
    }
}

/// Text that is looked for: bounded, and without signs that no text has.
pub(super) fn text(value: Option<String>, name: &str) -> Result<Option<String>, Problem> {
    let value = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let is_bad = |value: &String| value.chars().count() > 200 || value.chars().any(char::is_control);
    if value.as_ref().is_some_and(is_bad) {
        return Err(Problem::new(Code::Validation, format!("{name} must be 1 to 200 characters")));
    }
    Ok(value)
}

/// The answer, with what is left of each event at this moment.
pub(super) async fn answer(
    app: &App,
    found: Found,
    (page, page_size): (u32, u32),
) -> Result<EventList, Problem> {
    let live = live(app, &found.items).await?;
    let now = app.store.now().await?;
    let items = found.items.into_iter().filter_map(|listing| {
        // What is gone since the answer was made is gone.
        let live = live.get(&listing.id)?;
        Some(view(app, listing, live, now))
    });
    Ok(EventList { items: items.collect(), page, page_size, total: found.total, is_more: found.is_more })
}

/// From memory where somebody has looked at the event, else counted.
async fn live(app: &App, listings: &[Listing]) -> Result<HashMap<EventId, Live>, Problem> {
    let (mut known, mut unknown) = (HashMap::new(), Vec::new());
    for listing in listings {
        let lane = app.desk.lanes().known(listing.id);
        let seats = lane.as_ref().map(|lane| lane.seats.read());
        match seats.as_ref().and_then(|seats| seats.as_ref()) {
            Some(seats) if seats.layout.version == listing.layout_version => {
                known.insert(listing.id, Live { total: seats.layout.capacity(), free: seats.free() });
            }
            _ => unknown.push(listing.id),
        }
    }
    if !unknown.is_empty() {
        let counts = app.store.live_counts(&unknown).await?;
        known.extend(
            counts.into_iter().map(|count| (count.event, Live { total: count.capacity, free: count.free })),
        );
    }
    Ok(known)
}

fn view(app: &App, listing: Listing, live: &Live, now: DateTime<Utc>) -> EventView {
    let pause = app.desk.lanes().pause(listing.id);
    EventView {
        id: listing.id,
        name: listing.name,
        description: listing.description,
        venue: VenueView { name: listing.venue, city: listing.city, address: listing.address },
        artists: listing.artists.into_iter().map(Into::into).collect(),
        starts_at: listing.starts_at,
        ends_at: listing.ends_at,
        sales_open_at: listing.sales_open_at,
        sales_close_at: listing.sales_close_at,
        total_seats: live.total,
        available_seats: live.free,
        price_from: listing.price_from,
        seat_limit: listing.seat_limit,
        hold_seconds: listing.hold_seconds,
        status: SaleStatus::at(now, listing.sales_open_at, listing.sales_close_at),
        queue_paused: pause.paused,
        queue_message: (!pause.message.is_empty()).then_some(pause.message),
    }
}
