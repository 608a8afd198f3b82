//! The load: raw HTTP/1.1 and WebSocket clients that take as little of the machine as they can, since the server
//! under load shares it.
//!
//! - [`requests`]: the bytes that are sent;
//! - `wire`: reading answers;
//! - `engine`: connections with one request in flight each, on one thread;
//! - [`run()`]: threads, and the pace at which requests are due;
//! - [`tally`]: what came back, how fast;
//! - [`sockets`]: thousands of sockets that wait for one message.
//!
//! **Latency** counts from the instant at which a request was *due*, not from when it could be sent: a server that
//! stands still for a second has made every request of that second wait, and all of that is counted.

pub mod requests;
pub mod sockets;
pub mod tally;

mod engine;
mod frames;
mod run;
mod wire;

pub use requests::{Bookings, Polls, Requests};
pub use run::{Pace, Plan, run};
pub use tally::Tally;

#[cfg(test)]
mod tests;
