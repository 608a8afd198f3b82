//! Tickets: the document for one order item, with a code that a scanner checks without asking anybody.

pub mod config;

/// The queue that issues the tickets of paid orders.
pub const QUEUE: &str = "tickets";

/// A job of that queue: issue the tickets of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IssueTickets {
    /// The order.
    pub order: crate::domain::OrderId,
}
