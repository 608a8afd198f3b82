//! A crowd of simulated shoppers against a running system, over HTTP and WebSocket only.
//!
//! - `shopper`: what one of them does: look, ask, wait, and then keep, give back or walk away;
//! - `wish`: what they ask for; `hall`: what there is to ask for;
//! - `follow`: waiting for the outcome, on a socket or by polling; `cart`: what they do with what they won;
//! - `api`: calls, with their latencies and errors;
//! - `ledger`: what everybody was told, and whether two were told the same;
//! - `order`: what only the database knows: who the crowd is, and whether jobs were decided in their order;
//! - `table`: the closing table.

mod api;
mod cart;
mod follow;
mod hall;
mod ledger;
mod order;
mod run;
mod shopper;
mod table;
mod wish;

pub use run::{CrowdArgs, Went, run};
