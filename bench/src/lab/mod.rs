//! The servers that are measured, and what is in them.
//!
//! - [`Lab`]: a private PostgreSQL and Redis, durable as in earnest, in a folder that goes away;
//! - [`server`]: Usher and the bare server as processes of their own;
//! - [`events`], [`people`]: halls with many seats, and shoppers with tokens;
//! - [`jobs`]: jobs in bulk, without HTTP, and waiting until they are decided;
//! - [`admin`]: pausing and resuming a lane, as operators do;
//! - [`watch`]: what PostgreSQL, Redis and the system counted meanwhile.

pub mod admin;
pub mod events;
pub mod jobs;
pub mod people;
pub mod server;
pub mod watch;

mod start;

pub use events::Event;
pub use start::{Lab, LabOptions};
