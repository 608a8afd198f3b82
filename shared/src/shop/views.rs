//! What shoppers are shown: answers of the API, filled from memory and the store.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    AreaId, BookingId, EventId, Language, Layout, Money, Outcome, Reservation, SeatId, UserId,
};
use crate::queue::board::Wait;
use crate::store::{BookingRecord, ClaimedPlace};

/// An estimated wait in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitRange {
    /// At a good pace.
    pub min: u64,
    /// At a poor one.
    pub max: u64,
}

impl From<Wait> for WaitRange {
    fn from(wait: Wait) -> Self {
        Self { min: wait.min_s, max: wait.max_s }
    }
}

/// "6 seconds".
pub fn wait_text(wait: Wait) -> String {
    match wait.usual_s {
        1 => "1 second".to_owned(),
        seconds @ 0..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// How far a job is that is being decided, in percent: there are no smaller steps.
pub const HALFWAY: u8 = 50;

/// Where a job stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Status {
    /// It waits for its turn.
    Queued {
        /// Whose it is; for the owner only.
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// At which event.
        event_id: EventId,
        /// How many are ahead + 1; absent until it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        place: Option<u64>,
        /// The same.
        #[serde(skip_serializing_if = "Option::is_none")]
        queue_position: Option<u64>,
        /// How many wait in the line.
        waiting: u64,
        /// "6 seconds".
        #[serde(skip_serializing_if = "Option::is_none")]
        estimated_wait_time: Option<String>,
        /// In seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        wait_range: Option<WaitRange>,
        /// The line stands still, by an operator.
        paused: bool,
        /// What an operator says, of the pause or without one.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// The line is being put back together after a fault; nobody loses their place.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        recovering: bool,
        /// It waits for a seat to come back.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        standby: bool,
    },
    /// It is being decided.
    Processing {
        /// At which event.
        event_id: EventId,
        /// Percent.
        progress: u8,
    },
    /// It won.
    Completed {
        /// At which event.
        event_id: EventId,
        /// What; for the owner only.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<ReservationView>,
    },
    /// It got nothing.
    Failed {
        /// At which event.
        event_id: EventId,
        /// A sentence.
        error: String,
        /// Stable.
        code: String,
    },
}

/// What was won.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReservationView {
    /// In which booking.
    pub booking_id: BookingId,
    /// Which places.
    pub seats: Vec<PlaceView>,
    /// Until when they are held.
    pub expires_at: DateTime<Utc>,
    /// How long that is.
    pub remaining_seconds: i64,
}

/// A place.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceView {
    /// A numbered seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_id: Option<SeatId>,
    /// Or an area,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_id: Option<AreaId>,
    /// and the slot in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The section, or the area's name.
    pub section: String,
    /// The row; empty in an area.
    pub row: String,
    /// The seat's number, or the slot's.
    pub number: String,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// In a cart: until when it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// In a cart: how long that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_seconds: Option<i64>,
}

/// A booking.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingView {
    /// Its id.
    pub id: BookingId,
    /// For which event.
    pub event_id: EventId,
    /// Its name.
    pub event_name: String,
    /// `created`, `pending_payment`, `paid`, `cancelled`, `expired`.
    pub status: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What is in it.
    pub seats: Vec<PlaceView>,
    /// What that costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
}

/// A cart.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartView {
    /// Open bookings that have something in them.
    pub items: Vec<BookingView>,
    /// What all of it costs, per currency.
    pub total: Vec<Money>,
    /// The clock that the times are to be held against.
    pub server_time: DateTime<Utc>,
}

impl PlaceView {
    /// A place as the layout names it; bare ids when the layout no longer has it.
    pub fn new(layout: Option<&Layout>, place: ClaimedPlace) -> Self {
        let price = |tier| layout.and_then(|layout| layout.tier(tier)).map(|tier| tier.price.clone());
        let mut view = Self {
            seat_id: None,
            area_id: None,
            slot: None,
            section: String::new(),
            row: String::new(),
            number: String::new(),
            price: None,
            expires_at: None,
            remaining_seconds: None,
        };
        match place {
            ClaimedPlace::Seat(id) => {
                view.seat_id = Some(id);
                let seat = layout.and_then(|layout| layout.seats.get(layout.index_of(id)? as usize));
                if let Some((layout, seat)) = layout.zip(seat) {
                    let row = layout.rows.get(seat.row as usize);
                    let section = row.and_then(|row| layout.sections.get(row.section as usize));
                    view.section = section.map(|section| section.name.clone()).unwrap_or_default();
                    view.row = row.map(|row| row.label.clone()).unwrap_or_default();
                    view.number.clone_from(&seat.label);
                    view.price = price(seat.tier);
                }
            }
            ClaimedPlace::Slot(id, slot) => {
                (view.area_id, view.slot) = (Some(id), Some(slot));
                view.number = slot.to_string();
                let area = layout.and_then(|layout| layout.areas.iter().find(|area| area.id == id));
                if let Some(area) = area {
                    view.section.clone_from(&area.name);
                    view.price = price(area.tier);
                }
            }
        }
        view
    }

    fn held_until(mut self, expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        self.expires_at = expires_at;
        self.remaining_seconds = expires_at.map(|at| (at - now).num_seconds().max(0));
        self
    }
}

impl ReservationView {
    /// What was won, in the layout's words.
    pub fn new(layout: Option<&Layout>, won: &Reservation, now: DateTime<Utc>) -> Self {
        let seats = won.seats.iter().map(|seat| ClaimedPlace::Seat(*seat));
        let slots = won.slots.iter().map(|(area, slot)| ClaimedPlace::Slot(*area, *slot));
        let expires_at = crate::store::time_of(won.expires_at_ms);
        Self {
            booking_id: won.booking,
            seats: seats.chain(slots).map(|place| PlaceView::new(layout, place)).collect(),
            expires_at,
            remaining_seconds: (expires_at - now).num_seconds().max(0),
        }
    }
}

impl BookingView {
    /// A booking, in the layout's words.
    pub fn new(record: BookingRecord, name: String, layout: Option<&Layout>, now: DateTime<Utc>) -> Self {
        let seats: Vec<PlaceView> = record
            .claims
            .into_iter()
            .map(|claim| {
                let mut view = PlaceView::new(layout, claim.place).held_until(claim.expires_at, now);
                // The layout may be some seconds old, and a price may have changed since; an order keeps its own.
                view.price = claim.price.or(view.price);
                view
            })
            .collect();
        let total = Money::totals(seats.iter().filter_map(|seat| seat.price.as_ref())).into_iter().next();
        Self {
            id: record.id,
            event_id: record.event,
            event_name: name,
            status: record.status,
            created_at: record.created_at,
            seats,
            total,
        }
    }
}

impl CartView {
    /// A cart of these bookings.
    pub fn new(items: Vec<BookingView>, now: DateTime<Utc>) -> Self {
        let prices = items.iter().flat_map(|booking| &booking.seats).filter_map(|seat| seat.price.as_ref());
        let total = Money::totals(prices);
        Self { items, total, server_time: now }
    }
}

impl Status {
    /// How a job ended; `is_owner` decides whether what was won is told.
    pub fn ended(event: EventId, outcome: &Outcome, layout: Option<&Layout>, is_owner: bool) -> Self {
        match outcome {
            Outcome::Completed(won) => Self::Completed {
                event_id: event,
                result: is_owner.then(|| ReservationView::new(layout, won, Utc::now())),
            },
            Outcome::Failed(refusal) => Self::Failed {
                event_id: event,
                error: refusal.text(Language::En).to_owned(),
                code: refusal.code().to_owned(),
            },
        }
    }
}
