//! The use cases. Handlers, jobs and sweeps call one of these each.
//!
//! - What gateways know: [`Catalogue`] (events and layouts, cached), [`Lanes`] (places and seats in memory,
//!   following the feeds), [`recover`] (what they put back when Redis has lost something).
//! - What shoppers do: [`Desk`] (take a place in a line, ask, leave), [`Carts`] (what was won).
//! - What both may ask for twice: [`Idempotency`].
//! - What comes of carts: [`checkout`] (orders, payments, refunds).
//! - What workers do: [`Reserver`] decides a batch.
//! - What sweepers do: [`Sweeps`].
//! - What operators do: [`Operations`]; [`copy_controls`] brings their pauses to Redis. What they see: [`Oversight`].
//! - What follows a paid order: [`Tickets`], which [`issue_tickets`] makes.
//! - What everybody has: [`accounts`].
//! - What admins do: [`admin`]. What is on: [`Listings`].

pub mod accounts;
pub mod admin;
mod broadcasts;
mod carts;
mod catalogue;
pub mod checkout;
mod controls;
mod desk;
mod figures;
mod idempotency;
mod idle;
mod jobs;
mod lanes;
mod listings;
mod live_seats;
mod named;
mod named_drain;
mod operations;
mod oversight;
pub mod recover;
mod reservation_keys;
mod reserve;
mod sweeps;
mod tickets;
mod views;

pub use accounts::{AccountError, Accounts};
pub use broadcasts::continue_broadcast;
pub use carts::{CartError, Carts};
pub use catalogue::{Catalogue, Event};
pub use controls::copy_controls;
pub use desk::{BookError, Booked, Desk, StatusError};
pub use figures::{Figures, FiguresError, Report, Revenue, StreamReport, Sums};
pub use idempotency::{Idempotency, KeptAnswer, KeyedRequest, Replay};
pub use lanes::{Lane, Lanes, Listener};
pub use listings::Listings;
pub use live_seats::{LiveSeats, SeatStatus};
pub use named::{JobReport, Limits, NamedFinished, QueueReport, Which};
pub use operations::{Drained, LaneReport, Operations, OperationsError, Retried};
pub use oversight::Oversight;
pub use reserve::{BatchSize, ReserveError, Reserved, Reserver};
pub use sweeps::Sweeps;
pub use tickets::{
    CheckInError, CheckedIn, Printed, Scan, Scanned, Shown, TicketError, TicketView, Tickets, VenueView,
    issue_tickets,
};
pub use views::{BookingView, CartView, HALFWAY, PlaceView, ReservationView, Status, WaitRange, wait_text};

use crate::queue::QueueError;
use crate::store::StoreError;

/// A store was away or refused; the boundary logs it and answers 503 or 500.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// PostgreSQL.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis.
    #[error(transparent)]
    Queue(#[from] QueueError),
}
