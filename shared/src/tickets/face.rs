//! What stands on a ticket, whatever it is printed as.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::domain::{Money, TicketId};

/// What stands on a ticket.
#[derive(Debug, Clone)]
pub struct TicketFace {
    /// Its id.
    pub id: TicketId,
    /// Its number.
    pub number: String,
    /// What its QR code says.
    pub code: String,
    /// The event's name.
    pub event: String,
    /// Who plays, in order.
    pub artists: Vec<String>,
    /// The venue's name.
    pub venue: String,
    /// The venue's city.
    pub city: String,
    /// When the event begins.
    pub starts_at: DateTime<Utc>,
    /// The same on a clock at the venue.
    pub starts_there: NaiveDateTime,
    /// The venue's time zone, such as `Europe/Kyiv`.
    pub time_zone: String,
    /// The place in words.
    pub place: String,
    /// The price tier's name.
    pub tier: String,
    /// What was paid.
    pub price: Money,
    /// Who bought it.
    pub holder: String,
    /// When this was read.
    pub read_at: DateTime<Utc>,
}
