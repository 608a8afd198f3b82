//! What somebody has booked, ordered and bought.

use super::{AccountError, Accounts};
use crate::domain::UserId;
use crate::store::{HistoryBooking, HistoryOrder, HistoryTicket};

/// A page of each kind.
#[derive(Debug, Clone)]
pub struct HistoryPage {
    /// From 1.
    pub page: u32,
    /// Of each kind.
    pub page_size: u32,
    /// Only tickets with this status.
    pub ticket_status: Option<&'static str>,
}

/// The history of somebody: a page of each kind, newest first, and how many there are in all.
#[derive(Debug, Clone)]
pub struct History {
    /// Bookings.
    pub bookings: (Vec<HistoryBooking>, i64),
    /// Orders with their items.
    pub orders: (Vec<HistoryOrder>, i64),
    /// Tickets.
    pub tickets: (Vec<HistoryTicket>, i64),
}

impl Accounts {
    /// The history of somebody.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn history(&self, user: UserId, page: &HistoryPage) -> Result<History, AccountError> {
        let limit = i64::from(page.page_size);
        let range = (i64::from(page.page.saturating_sub(1)) * limit, limit);
        Ok(History {
            bookings: self.store.history_bookings(user, range).await?,
            orders: self.store.history_orders(user, range).await?,
            tickets: self.store.history_tickets(user, page.ticket_status, range).await?,
        })
    }
}
