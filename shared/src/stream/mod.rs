//! The event stream: facts from the outbox, for the outside and for Usher's own consumers.

pub mod config;
