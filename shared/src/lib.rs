//! The library under Usher's processes, in reading order:
//!
//! - [`domain`]: the words of the trade as types; what a request asks for, how seats are chosen. No I/O.
//! - [`queue`]: the booking queue in Redis: lanes, leases, feeds, and the places kept in memory.
//! - [`store`]: PostgreSQL, which alone decides who has a seat. All SQL is here.
//! - [`pay`]: the port to payment providers. [`messages`]: what people are told by mail, SMS and push.
//! - [`tickets`]: documents with a code that is checked at the door. [`stream`]: facts for the outside.
//! - [`shop`]: the use cases that put the three together; what handlers, jobs and sweeps call.
//! - [`auth`]: passwords and tokens. [`seen`]: what goes wrong and what people do, counted.
//! - [`auth`]: passwords, tokens, codes and keys.
//! - [`config`]: settings that the processes share, and [`telemetry`]: their logs.

pub mod auth;
pub mod config;
pub mod domain;
pub mod messages;
pub mod pay;
pub mod queue;
pub mod rush;
pub mod seen;
pub mod shop;
pub mod store;
pub mod stream;
pub mod telemetry;
pub mod tickets;
