//! Orders: made of carts, read, closed. Whatever changes one locks its row first, then its bookings, then their claims.

mod close;
mod items;
mod place;
mod read;
mod sell;

pub use close::Closing;
pub(super) use close::cancel_order_rows;
pub(super) use items::{
    Item, cancel_tickets, close_emptied, free_items, lock_bookings, mark_items, read_items,
};
pub(super) use read::{LockedOrder, lock_order};
pub(super) use sell::{NewFacts, append_order_facts, complete_order, reseat, sell};

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{ClaimedPlace, Freed};
use crate::domain::{BookingId, EventId, Money, OrderId, OrderItemId, PaymentId, UserId};

/// What is bought at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basket {
    /// Everything in the cart.
    Cart,
    /// One booking.
    Booking(BookingId),
}

/// An order to make.
#[derive(Debug, Clone, Copy)]
pub struct NewOrder<'a> {
    /// Who buys.
    pub user: UserId,
    /// What.
    pub basket: Basket,
    /// With which provider.
    pub provider: &'a str,
    /// Seconds within which it must be paid; an event that holds places for a shorter time shortens it.
    pub limit_s: u32,
    /// From where.
    pub ip: Option<IpAddr>,
}

/// What became of making an order.
#[derive(Debug)]
pub enum Placed {
    /// It is there now.
    New(OrderId),
    /// It cost nothing, so it is paid already; these places are sold.
    Free(OrderId, Vec<Freed>),
    /// An order of the same was there already.
    Open(OrderId),
    /// There is nothing to buy.
    Empty,
    /// There is no such booking of theirs.
    NotFound,
    /// The booking is closed: its status.
    Closed(String),
    /// A reservation has run out.
    RunOut,
    /// Prices are in more than one currency.
    Currencies,
    /// An event does not take place.
    EventCancelled,
}

/// An order.
#[derive(Debug, Clone)]
pub struct OrderRecord {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub user: UserId,
    /// `awaiting_payment`, `expiring`, `paid`, `fulfilled`, `partially_refunded`, `refunded`, `expired`, `cancelled`.
    pub status: String,
    /// What it costs.
    pub total: Money,
    /// Until when it must be paid.
    pub pay_until: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// PostgreSQL's clock.
    pub now: DateTime<Utc>,
}

/// One place in an order.
#[derive(Debug, Clone)]
pub struct OrderItemRecord {
    /// Its id.
    pub id: OrderItemId,
    /// Of which order.
    pub order: OrderId,
    /// Of which booking.
    pub booking: BookingId,
    /// Of which event.
    pub event: EventId,
    /// The event's name.
    pub event_name: String,
    /// Which place.
    pub at: ClaimedPlace,
    /// The place in words, as it was bought.
    pub place: String,
    /// The price's name.
    pub tier: String,
    /// What it cost.
    pub price: Money,
    /// `held`, `sold`, `released`, `refunding`, `refunded`.
    pub status: String,
}

/// One attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Its id.
    pub id: PaymentId,
    /// For which order.
    pub order: OrderId,
    /// With which provider.
    pub provider: String,
    /// The provider's name for it.
    pub reference: Option<String>,
    /// `creating`, `open`, `authorized`, `captured`, `declined`, `expired`, `failed`, `reversed`.
    pub status: String,
    /// How much.
    pub amount: Money,
    /// Where the payer goes.
    pub redirect_url: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
}

impl PaymentRecord {
    /// It may still come to something.
    pub fn is_open(&self) -> bool {
        ["creating", "open", "authorized"].contains(&self.status.as_str())
    }
}
