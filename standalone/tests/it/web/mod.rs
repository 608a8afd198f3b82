//! What the gateway says to whatever it is sent.

mod accounts;
mod bad_input;
mod catalogue;
mod connections;
mod document;
mod idempotency;
mod seeds;
