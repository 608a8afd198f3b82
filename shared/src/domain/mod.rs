//! Types without I/O: ids, money, requests, references, layouts, and the choice of seats.

mod allocate;
mod codec;
mod ids;
mod job_ref;
mod language;
mod layout;
mod money;
mod outcome;
mod request;
mod seat_map;

pub use allocate::{Choice, choose};
pub use codec::DecodeError;
pub use ids::{
    AreaId, BookingId, EventId, OrderId, OrderItemId, PaymentId, RefundId, SeatId, SectionId, TicketId,
    TierId, UserId,
};
pub(crate) use job_ref::keyed;
pub use job_ref::{Envelope, JobRef, JobRefError, JobRefKeys};
pub use language::Language;
pub use layout::{Area, Layout, Row, Seat, SeatRecord, Section, Tier};
pub use money::Money;
pub use outcome::{Outcome, Refusal, Reservation};
pub(crate) use request::hex16;
pub use request::{BookingRequest, MAX_PLACES, RequestError, Wanted};
pub use seat_map::{Hold, Place, SeatMap};
