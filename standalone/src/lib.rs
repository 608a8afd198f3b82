//! Usher in one process: gateway, worker and sweeper over one pair of stores.
//!
//! - [`settings`]: everything that can be set, for all three.
//! - [`servers`]: a private PostgreSQL and a private Redis, for whoever gives no URL and for the tests.
//! - [`secrets`]: keys that are made once and kept.
//! - [`sandbox`]: a payment provider without real money, for whoever names no other.
//! - [`system`]: the three processes as tasks of one.

pub mod sandbox;
pub mod secrets;
pub mod servers;
pub mod settings;
pub mod system;
