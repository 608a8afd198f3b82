//! Messages to people: what they say, and the job that sends one. They are written in the transaction of the fact they
//! follow from, so that none is lost, and sent by the worker. In reading order:
//!
//! - [`send`] writes the job of an [`Outgoing`]; [`sender`] is what the worker does with it.
//! - [`about`]: what a message tells, looked up when it is sent. [`texts`]: the words, in three languages.
//! - [`ports`]: how messages go out; behind them [`smtp`], [`http`] and [`mailbox`]. [`config`] chooses.

pub mod about;
pub mod config;
pub mod http;
pub mod mailbox;
pub mod ports;
pub mod sender;
pub mod smtp;
pub mod texts;

pub use mailbox::{Mailbox, MailboxError};
pub use ports::{Attachment, CodeDigits, NoDocuments, SendError, TicketDocuments};
pub use sender::{Makers, Sender, Sent};
mod once;

pub use once::{id_of, send_once};

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{BookingId, EventId, Money, OrderId, RefundId, UserId};
use crate::store::{NewNamedJob, StoreError, insert_job};

/// The queue of these jobs.
pub const QUEUE: &str = "messages";
/// Lanes of the queue; the first one is for codes, which somebody is waiting for.
const LANES: u16 = 16;

/// A message and where it goes: the payload of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Where it goes.
    pub to: Recipient,
    /// What it says.
    pub message: Message,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Recipient {
    /// Somebody, at their e-mail address and in their language when it is sent.
    User {
        /// Who.
        id: UserId,
    },
    /// The value that a code of this id was made for: an e-mail address or a phone number.
    CodeTarget {
        /// The code.
        code: Uuid,
    },
    /// The e-mail address that an account had before a change.
    FormerAddress {
        /// The change.
        change: Uuid,
    },
    /// Every admin.
    Admins,
}

/// What a message says. Only ids and figures: names and places are looked up when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Message {
    /// A code; its digits follow from its id and a secret, so they stand nowhere.
    Code {
        /// The code.
        code: Uuid,
    },
    /// The e-mail address, phone number, login name or password of an account was changed.
    AccountChanged {
        /// The change.
        change: Uuid,
    },
    /// Seats are in the cart.
    SeatsReserved {
        /// The cart.
        booking: BookingId,
    },
    /// A reservation has run out.
    ReservationExpired {
        /// The cart.
        booking: BookingId,
    },
    /// An order is paid; the tickets are attached.
    OrderPaid {
        /// The order.
        order: OrderId,
    },
    /// An order was not paid in time.
    OrderExpired {
        /// The order.
        order: OrderId,
    },
    /// Money goes back.
    Refunded {
        /// The order.
        order: OrderId,
        /// How much.
        amount: Money,
    },
    /// An event has moved or changed.
    EventChanged {
        /// The event.
        event: EventId,
    },
    /// An event does not take place.
    EventCancelled {
        /// The event.
        event: EventId,
    },
    /// A place that somebody had was removed.
    PlaceRemoved {
        /// The event.
        event: EventId,
        /// The place in words.
        place: String,
    },
    /// A refund has failed for good and waits for a person.
    RefundFailed {
        /// The refund.
        refund: RefundId,
    },
    /// A payment is not the same at the provider's as here, and a person decides what becomes of it.
    PaymentDiffers {
        /// The difference.
        difference: i64,
    },
}

impl Outgoing {
    /// Reads the payload of a job; `None` when it is none of this queue.
    pub fn from_payload(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }
}

impl Message {
    /// What it is about, as its job and the log name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Code { .. } => "code",
            Self::AccountChanged { .. } => "account_changed",
            Self::SeatsReserved { .. } => "seats_reserved",
            Self::ReservationExpired { .. } => "reservation_expired",
            Self::OrderPaid { .. } => "order_paid",
            Self::OrderExpired { .. } => "order_expired",
            Self::Refunded { .. } => "refunded",
            Self::EventChanged { .. } => "event_changed",
            Self::EventCancelled { .. } => "event_cancelled",
            Self::PlaceRemoved { .. } => "place_removed",
            Self::RefundFailed { .. } => "refund_failed",
            Self::PaymentDiffers { .. } => "payment_differs",
        }
    }

    /// Whether it goes to the devices of an account too, not by mail alone.
    pub fn is_pushed(&self) -> bool {
        matches!(self, Self::SeatsReserved { .. } | Self::OrderPaid { .. })
    }

    /// Whether it goes to the phone of whoever has switched that on, too.
    pub fn is_texted(&self) -> bool {
        matches!(
            self,
            Self::SeatsReserved { .. }
                | Self::OrderPaid { .. }
                | Self::OrderExpired { .. }
                | Self::EventCancelled { .. }
        )
    }
}

/// Writes the job that sends a message; returns its id.
///
/// # Errors
/// PostgreSQL is away.
pub async fn send(connection: &mut PgConnection, outgoing: &Outgoing) -> Result<Uuid, StoreError> {
    let lane = match outgoing.message {
        Message::Code { .. } => 0,
        Message::AccountChanged { .. }
        | Message::SeatsReserved { .. }
        | Message::ReservationExpired { .. }
        | Message::OrderPaid { .. }
        | Message::OrderExpired { .. }
        | Message::Refunded { .. }
        | Message::EventChanged { .. }
        | Message::EventCancelled { .. }
        | Message::PlaceRemoved { .. }
        | Message::RefundFailed { .. }
        | Message::PaymentDiffers { .. } => rand::random_range(1..LANES),
    };
    insert_job(connection, &NewNamedJob { queue: QUEUE, lane, payload: outgoing, run_at: None }).await
}
