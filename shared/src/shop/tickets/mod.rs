//! Tickets: issued when an order is paid, shown to their owner, printed, checked at the door.

mod check_in;
mod views;

use bytes::Bytes;

use super::Fault;
use crate::config::ConfigError;
use crate::domain::{Language, OrderId, TicketId, UserId};
use crate::store::{Issued, Store, StoreError, TicketRecord};
use crate::tickets::config::TicketsConfig;
use crate::tickets::{Document, Formats, JwkSet, Press, RenderError, TicketFace, TicketKeys, ToSign};

pub use check_in::{CheckInError, CheckedIn, Scan, Scanned, Shown};
pub use views::{TicketView, VenueView};

/// Tickets in one file at most; further ones go into another.
const PAGES: usize = 50;
/// Tickets of one order that are printed at most.
const MAX_TICKETS: i64 = 1_000;

/// Why there is no ticket to show.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// No such ticket of this shopper.
    #[error("you have no such ticket")]
    NotFound,
    /// It is not good any more.
    #[error("this ticket was cancelled")]
    Cancelled,
    /// It could not be printed.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for TicketError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// A document to hand out.
#[derive(Debug, Clone)]
pub struct Printed {
    /// The ticket's number.
    pub number: String,
    /// The document.
    pub document: Document,
}

/// The tickets; clones share what prints them.
#[derive(Clone)]
pub struct Tickets {
    store: Store,
    keys: TicketKeys,
    press: Press,
    event_hours: u16,
}

/// Issues the tickets of an order that was paid; safe to do twice.
///
/// # Errors
/// PostgreSQL is away.
pub async fn issue_tickets(store: &Store, order: OrderId) -> Result<Issued, Fault> {
    Ok(store.issue_tickets(order).await?)
}

impl Tickets {
    /// Tickets over this store, printed in the formats that are built in.
    ///
    /// # Errors
    /// There is no key to sign them with.
    pub fn new(store: Store, config: &TicketsConfig) -> Result<Self, ConfigError> {
        let press = Press::new(Formats::default());
        Ok(Self { store, keys: config.keys()?, press, event_hours: config.ticket_event_hours })
    }

    /// The public keys, for those who check codes themselves.
    pub fn public_keys(&self) -> JwkSet {
        self.keys.verifier().jwks()
    }

    /// A page of somebody's tickets, those issued last first, and how many there are.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn list(
        &self,
        user: UserId,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<TicketView>, u64), TicketError> {
        let (ids, total) = self.store.ticket_ids_of_user(user, offset, limit).await?;
        let records = self.store.tickets(&ids, self.event_hours).await?;
        Ok((records.into_iter().map(|record| TicketView::new(record, None)).collect(), total))
    }

    /// One ticket; with its code while that is good for anything, for its owner only. `user` is `None` for whoever may see
    /// all.
    ///
    /// # Errors
    /// It is not theirs, or PostgreSQL is away.
    pub async fn show(&self, id: TicketId, user: Option<UserId>) -> Result<TicketView, TicketError> {
        let mut records = self.store.tickets(&[id], self.event_hours).await?;
        let record = records.pop().ok_or(TicketError::NotFound)?;
        if user.is_some_and(|user| user != record.user) {
            return Err(TicketError::NotFound);
        }
        let has_code = user.is_some() && record.status == "valid";
        let code = has_code.then(|| self.code(&record));
        Ok(TicketView::new(record, code))
    }

    /// Prints a ticket for its owner, in their language where none is given.
    ///
    /// # Errors
    /// It is not theirs or cancelled, there is no such format, or it cannot be printed now.
    pub async fn print(
        &self,
        id: TicketId,
        user: UserId,
        (format, language): (&str, Option<Language>),
    ) -> Result<Printed, TicketError> {
        let mut records = self.store.tickets(&[id], self.event_hours).await?;
        let record = records.pop().filter(|record| record.user == user).ok_or(TicketError::NotFound)?;
        if record.status == "cancelled" {
            return Err(TicketError::Cancelled);
        }
        let language = language.unwrap_or_else(|| language_of(&record));
        let number = record.number.clone();
        let face = self.face(record);
        Ok(Printed { number, document: self.press.print(format, vec![face], language).await? })
    }

    /// The tickets of an order that are good, as PDF files for paper, a page a ticket, in the buyer's language; with the
    /// names of the files. None when there is none.
    ///
    /// # Errors
    /// PostgreSQL is away, or they cannot be printed now.
    pub async fn pdfs(&self, order: OrderId) -> Result<Vec<(String, Bytes)>, TicketError> {
        let ids = self.store.ticket_ids_of_order(order, MAX_TICKETS).await?;
        let mut records = self.store.tickets(&ids, self.event_hours).await?;
        records.retain(|record| record.status != "cancelled");
        records.sort_by_key(|record| (record.starts_at, record.id));
        let language = records.first().map(language_of).unwrap_or_default();
        let faces: Vec<TicketFace> = records.into_iter().map(|record| self.face(record)).collect();
        let mut files = Vec::new();
        for (nth, faces) in faces.chunks(PAGES).enumerate() {
            let part = if nth == 0 { String::new() } else { format!("-{}", nth + 1) };
            let document = self.press.print("a4", faces.to_vec(), language).await?;
            files.push((format!("tickets{part}.pdf"), document.bytes));
        }
        Ok(files)
    }

    fn code(&self, record: &TicketRecord) -> String {
        self.keys.code(ToSign {
            id: record.id,
            number: &record.number,
            event: record.event,
            place: &record.place,
            issued_at: record.issued_at,
        })
    }

    fn face(&self, record: TicketRecord) -> TicketFace {
        TicketFace {
            code: self.code(&record),
            id: record.id,
            number: record.number,
            event: record.event_name,
            artists: record.artists,
            venue: record.venue,
            city: record.city,
            starts_at: record.starts_at,
            starts_there: record.starts_there,
            time_zone: record.time_zone,
            place: record.place,
            tier: record.tier,
            price: record.price,
            holder: record.holder,
            read_at: record.read_at,
        }
    }
}

fn language_of(record: &TicketRecord) -> Language {
    Language::from_word(&record.language).unwrap_or_default()
}
