//! What the gateway says to whatever it is sent.

mod access;
mod access_table;
mod accounts;
mod audit;
mod bad_input;
mod catalogue;
mod connections;
mod document;
mod headers;
mod idempotency;
mod limits;
mod logs;
mod oversight;
mod seeds;
mod tls;
