//! The library under Usher's processes, in reading order:
//!
//! - [`domain`]: the words of the trade as types; what a request asks for, how seats are chosen. No I/O.
//! - [`queue`]: the booking queue in Redis: lanes, leases, feeds, and the places kept in memory.
//! - [`store`]: PostgreSQL, which alone decides who has a seat. All SQL is here.
//! - [`shop`]: the use cases that put the three together; what handlers, jobs and sweeps call.
//! - [`auth`]: passwords and tokens.
//! - [`config`]: settings that the processes share, and [`telemetry`]: their logs.

pub mod auth;
pub mod config;
pub mod domain;
pub mod queue;
pub mod shop;
pub mod store;
pub mod telemetry;
