//! At the door: a ticket is used once, whether it is scanned now or was scanned by a device that was offline.

use std::net::IpAddr;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::Tickets;
use crate::domain::{EventId, TicketId, UserId};
use crate::store::{Entry, NewScan, StoreError};
use crate::tickets::{CodeError, NumberError, TicketNumber, TicketVerifier};

/// A ticket that was shown.
#[derive(Debug, Clone)]
pub struct Scan {
    /// What was read from it: its code, or its number.
    pub shown: Shown,
    /// The event that the door belongs to.
    pub event: EventId,
    /// Which door.
    pub gate: String,
    /// When, by the scanner's clock; otherwise now.
    pub scanned_at: Option<DateTime<Utc>>,
}

/// What was read from a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// What its QR code says.
    Code(String),
    /// Its number.
    Number(String),
}

/// Somebody goes in.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedIn {
    /// With which ticket.
    pub ticket_id: TicketId,
    /// Its number.
    pub number: String,
    /// For which event.
    pub event_id: EventId,
    /// To which place.
    pub place: String,
    /// Its price tier.
    pub tier: String,
    /// The first letter of their first name, such as `O.`
    pub holder: String,
    /// At which door.
    pub gate: String,
    /// From when on the ticket is used.
    pub used_at: DateTime<Utc>,
}

/// What became of a scan.
#[derive(Debug)]
pub struct Scanned {
    /// Which ticket was shown, as far as it could be read; no such ticket need be there.
    pub ticket: Option<TicketId>,
    /// Whether somebody goes in.
    pub entry: Result<CheckedIn, CheckInError>,
}

/// Why somebody does not go in.
#[derive(Debug, thiserror::Error)]
pub enum CheckInError {
    /// Not signed here.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A digit was misread.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// No ticket has this number.
    #[error("there is no such ticket")]
    NotFound,
    /// For another event.
    #[error("this ticket is for another event")]
    WrongEvent,
    /// Given back, taken back, or for an event that does not take place.
    #[error("this ticket was cancelled")]
    Cancelled,
    /// Used before.
    #[error("this ticket was used at {at}, gate {gate}", at = at.format("%Y-%m-%dT%H:%M:%SZ"))]
    AlreadyUsed {
        /// When.
        at: DateTime<Utc>,
        /// At which door.
        gate: String,
    },
    /// Too late.
    #[error("this event is over")]
    EventOver,
}

impl Tickets {
    /// Uses tickets, in this order; what became of each. Of several scans of one ticket the first one wins, wherever they
    /// come from; the same scan told again, with its time, is answered as before.
    ///
    /// # Errors
    /// PostgreSQL is away; then none was used.
    pub async fn check_in(
        &self,
        by: (UserId, Option<IpAddr>),
        scans: &[Scan],
    ) -> Result<Vec<Scanned>, StoreError> {
        let read = self.read(scans).await?;
        let good = scans.iter().zip(&read).filter_map(|(scan, ticket)| {
            let ticket = *ticket.as_ref().ok()?;
            // PostgreSQL keeps microseconds.
            let scanned_at = scan.scanned_at.map(|at| at.trunc_subsecs(6));
            Some(NewScan { ticket, event: scan.event, gate: scan.gate.clone(), scanned_at })
        });
        let good: Vec<NewScan> = good.collect();
        let entries = self.store.check_in(&good, by, self.event_hours).await?;
        let mut answers = good.iter().zip(entries).map(|(scan, entry)| answer(scan, entry));
        let all = read.into_iter().map(|ticket| Scanned {
            ticket: ticket.as_ref().ok().copied(),
            entry: ticket.and_then(|_| answers.next().unwrap_or(Err(CheckInError::NotFound))),
        });
        Ok(all.collect())
    }

    /// Which tickets these are. Signatures are checked beside the threads that answer: some hundred take a while.
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Result<TicketId, CheckInError>>, StoreError> {
        let verifier = self.keys.verifier().clone();
        let shown: Vec<Shown> = scans.iter().map(|scan| scan.shown.clone()).collect();
        let work = move || shown.iter().map(|shown| verify(&verifier, shown)).collect::<Vec<_>>();
        let read = tokio::task::spawn_blocking(work).await;
        let read = read.map_err(|_| StoreError::Row("a check of signatures that panicked"))?;
        let numbers: Vec<String> = read
            .iter()
            .filter_map(|one| match one {
                Ok(Known::Number(number)) => Some(number.to_string()),
                Ok(Known::Ticket(_)) | Err(_) => None,
            })
            .collect();
        let ids = if numbers.is_empty() {
            std::collections::HashMap::new()
        } else {
            self.store.tickets_by_number(&numbers).await?
        };
        let tickets = read.into_iter().map(|one| match one? {
            Known::Ticket(id) => Ok(id),
            Known::Number(number) => ids.get(&number.to_string()).copied().ok_or(CheckInError::NotFound),
        });
        Ok(tickets.collect())
    }
}

/// A ticket by what is known of it.
enum Known {
    Ticket(TicketId),
    Number(TicketNumber),
}

fn verify(verifier: &TicketVerifier, shown: &Shown) -> Result<Known, CheckInError> {
    match shown {
        Shown::Code(code) => Ok(Known::Ticket(verifier.verify(code)?.id)),
        Shown::Number(number) => Ok(Known::Number(number.parse()?)),
    }
}

fn answer(scan: &NewScan, entry: Entry) -> Result<CheckedIn, CheckInError> {
    match entry {
        Entry::Admitted { number, place, tier, first_name, used_at } => Ok(CheckedIn {
            ticket_id: scan.ticket,
            number,
            event_id: scan.event,
            place,
            tier,
            holder: first_name.chars().next().map(|letter| format!("{letter}.")).unwrap_or_default(),
            gate: scan.gate.clone(),
            used_at,
        }),
        Entry::AlreadyUsed { at, gate } => Err(CheckInError::AlreadyUsed { at, gate }),
        Entry::Cancelled => Err(CheckInError::Cancelled),
        Entry::WrongEvent => Err(CheckInError::WrongEvent),
        Entry::Over => Err(CheckInError::EventOver),
        Entry::Unknown => Err(CheckInError::NotFound),
    }
}
