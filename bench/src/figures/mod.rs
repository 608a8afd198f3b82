//! The figures: each speed that is promised, beside what this machine can do at all, measured in the same run.
//!
//! A figure alone says as much about the machine as about Usher; the ratio says something about Usher.
//!
//! | module | measures |
//! |---|---|
//! | `enqueue` | requests a second flat out, against a bare axum handler |
//! | `steady` | 10,000 a second from 10,000 connections with workers running, and 10,000 at one instant |
//! | `poll` | place polls, against a bare handler, and what they cost the stores |
//! | `reserve` | seats a second through the whole path, against PostgreSQL alone (`rows`) |
//! | `sweep` | 100,000 reservations that run out at the same moment |
//! | `chain` | 10,000 bookings a second over HTTP until 100,000 seats are gone |
//! | `sold_out` | 150,000 jobs for 100,000 seats |
//! | `push` | one message to 10,000 sockets, and to 20,000 where so many files may be open |
//!
//! At the end [`invariants`] looks whether everything that was written is as it must be.

pub mod invariants;

mod chain;
mod enqueue;
mod poll;
mod push;
pub(crate) mod reserve;
mod row;
mod rows;
mod run;
mod sold_out;
mod steady;
mod sweep;

pub use row::{Quantity, Row, Target};
pub use run::{FiguresArgs, run};

#[cfg(test)]
mod tests;
