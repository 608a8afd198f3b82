//! A ticket as its owner sees it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{EventId, Money, OrderId, TicketId};
use crate::store::TicketRecord;

/// A ticket.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketView {
    /// Its id.
    pub id: TicketId,
    /// Its number, twelve digits and letters.
    pub number: String,
    /// `valid`, `used`, `expired`, `cancelled`.
    pub status: String,
    /// Of which order.
    pub order_id: OrderId,
    /// For which event.
    pub event_id: EventId,
    /// Its name.
    pub event_name: String,
    /// Who plays.
    pub artists: Vec<String>,
    /// Where.
    pub venue: VenueView,
    /// When the event begins.
    pub starts_at: DateTime<Utc>,
    /// The place in words.
    pub place: String,
    /// The price tier.
    pub tier: String,
    /// What was paid.
    pub price: Money,
    /// Whose name stands on it.
    pub holder: String,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<DateTime<Utc>>,
    /// Where it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// When it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<DateTime<Utc>>,
    /// What the QR code says; of one valid ticket, for its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Where an event takes place.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketVenue)]
pub struct VenueView {
    /// Its name.
    pub name: String,
    /// Its city.
    pub city: String,
    /// Its time zone, such as `Europe/Kyiv`.
    pub time_zone: String,
}

impl TicketView {
    /// A ticket, with its code where that is told.
    pub fn new(record: TicketRecord, code: Option<String>) -> Self {
        Self {
            id: record.id,
            number: record.number,
            status: record.status,
            order_id: record.order,
            event_id: record.event,
            event_name: record.event_name,
            artists: record.artists,
            venue: VenueView { name: record.venue, city: record.city, time_zone: record.time_zone },
            starts_at: record.starts_at,
            place: record.place,
            tier: record.tier,
            price: record.price,
            holder: record.holder,
            issued_at: record.issued_at,
            used_at: record.used_at,
            gate: record.used_gate,
            cancelled_at: record.cancelled_at,
            code,
        }
    }
}
