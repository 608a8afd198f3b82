//! The event stream: facts from the outbox, for the outside and for Usher's own consumers. In reading order:
//!
//! - [`Envelope`]: a fact as it is sent. [`Group`]: Usher's own readers, and what each of them reads.
//! - [`ports`]: how facts are sent and read; behind them [`redis`] and, where the crate is built with it, `kafka`.
//! - [`Broker`] opens what the settings say. [`Relay`] sends what stands in the outbox.
//!
//! Facts are sent at least once and, for each event and topic, in order; whoever reads them tells by their ids what is
//! told twice.

pub mod broker;
pub mod config;
mod envelope;
mod groups;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod ports;
pub mod redis;
mod relay;

pub use broker::{Broker, GroupLag};
pub use envelope::Envelope;
pub use groups::Group;
pub use ports::{Appended, Delivery, Sink, Source, StreamError};
pub use relay::{Relay, Relayed};
