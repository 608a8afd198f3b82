//! The transaction of a batch: what a worker reads before it decides, and what it writes.
//!
//! Every statement is a trip to PostgreSQL that the lane waits for, so there are few: [`read`] is one, and a batch in
//! which nothing special happens is [`check`]'s lock, [`mod@write`]'s rows, and its facts.

mod check;
mod read;
mod write;

pub use self::write::{BuyFreeBooking, FREE_BOOKINGS};

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use self::check::{check_fence, check_refusals};
use self::read::{Question, read_batch};
use self::write::{append_facts, buy_free_bookings, in_the_way, reopen_bookings, take_over, write_rows};
use super::claims::{Why, record_freed};
use super::{ClaimedPlace, Freed, FreedPlaces, Store, StoreError};
use crate::domain::{BookingId, EventId, Outcome, SeatId, UserId};
use crate::queue::claim::Lease;

/// What a shopper has at the event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Their open booking.
    pub open_booking: Option<BookingId>,
    /// Places, in whatever booking, held or sold.
    pub places: u32,
    /// They have one that is being paid, or is.
    pub has_closed_booking: bool,
}

/// What is read before a batch is decided. It holds under the lane's lock if the version still does.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Rises with every batch of this event.
    pub version: i64,
    /// The layout that decisions must be made on.
    pub layout_version: u32,
    /// Places one shopper may have.
    pub seat_limit: u32,
    /// One shopper may have one booking.
    pub one_booking_each: bool,
    /// Nothing costs anything: what is won is bought at once.
    pub is_free: bool,
    /// PostgreSQL's clock, ms since 1970.
    pub now_ms: i64,
    /// Until when a reservation made now holds, ms since 1970.
    pub expires_at_ms: i64,
    /// The sale is over, or has not begun.
    pub is_closed: bool,
    /// Outcomes of an earlier delivery.
    pub outcomes: HashMap<u64, (UserId, Outcome)>,
    /// By shopper; who is missing has nothing.
    pub usage: HashMap<UserId, Usage>,
    /// What came free since the last look.
    pub freed: FreedPlaces,
}

impl Prepared {
    /// How many places a shopper has.
    pub(super) fn places_of(&self, user: UserId) -> u32 {
        self.usage.get(&user).map_or(0, |usage| usage.places)
    }
}

/// One job of a batch, as it is written.
#[derive(Debug, Clone)]
pub struct JobWrite {
    /// Its number.
    pub number: u64,
    /// Its nonce.
    pub nonce: u64,
    /// Whose it is.
    pub user: UserId,
    /// Where it came from, for the audit log: written with a refusal, told with a booking that it opens.
    pub ip: Option<IpAddr>,
    /// It may stand by, and be decided after jobs that came later.
    pub may_stand_by: bool,
    /// How it ends; `None` when it stands by, which is not written.
    pub outcome: Option<Outcome>,
}

/// A batch as it is written.
#[derive(Debug)]
pub struct BatchWrite<'a> {
    /// The right to write it.
    pub lease: &'a Lease,
    /// What it was decided on.
    pub prepared: &'a Prepared,
    /// The jobs, in order.
    pub jobs: &'a [JobWrite],
    /// Seats that were believed taken before this batch, and for which jobs were refused.
    pub refused_seats: Vec<SeatId>,
    /// Somebody was refused or stands by for want of places: look once more whether there are none.
    pub is_short: bool,
    /// Places taken over from reservations that have run out.
    pub taken_over: Vec<ClaimedPlace>,
    /// Places that were known to have run out when this was decided: finding them so again is no news.
    pub known_expired: HashSet<ClaimedPlace>,
    /// Shoppers refused for their limit.
    pub limited: Vec<UserId>,
}

/// What became of it. Only `Done` wrote anything.
#[derive(Debug)]
pub enum Commit {
    /// Everything stands; these reservations were taken over.
    Done(Vec<Freed>),
    /// Not all is as it was believed: decide anew.
    Conflict {
        /// Places that are free after all.
        free: Vec<ClaimedPlace>,
        /// Of those, the ones with a claim that has run out.
        expired: Vec<ClaimedPlace>,
        /// Places that are not.
        taken: Vec<ClaimedPlace>,
    },
    /// A newer lease has written here.
    Stale {
        /// Its fence.
        fence: u64,
    },
}

impl Commit {
    fn conflict() -> Self {
        Self::Conflict { free: Vec::new(), expired: Vec::new(), taken: Vec::new() }
    }
}

impl Store {
    /// Reads what a batch (numbers and nonces) is decided on. `None` when the event is gone.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn prepare_batch(
        &self,
        event: EventId,
        jobs: &[(u64, u64)],
        users: &[UserId],
        xmin: &str,
        seen: &HashSet<i64>,
    ) -> Result<Option<Prepared>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        read_batch(&mut connection, event, &Question { jobs, users, xmin, seen }).await
    }

    /// Writes a batch in one transaction, if the lease is the newest and everything is still as it was read.
    ///
    /// # Errors
    /// PostgreSQL is away, or refuses a row; nothing is written then.
    pub async fn commit_batch(&self, batch: &BatchWrite<'_>) -> Result<Commit, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(refused) = check_fence(&mut tx, batch.lease, batch.prepared.version).await? {
            return Ok(refused);
        }
        if let Some(conflict) = check_refusals(&mut tx, batch).await? {
            return Ok(conflict);
        }
        let Some(new_bookings) = reopen_bookings(&mut tx, batch).await? else {
            return Ok(Commit::conflict());
        };
        let taken_over = take_over(&mut tx, &batch.taken_over).await?;
        if !write_rows(&mut tx, batch, &new_bookings).await? {
            tx.rollback().await?;
            return in_the_way(&mut *self.pool.acquire().await?, batch).await;
        }
        // Only now, with the new claims in place: a booking that was emptied and filled again stays open.
        record_freed(&mut tx, &taken_over, &batch.taken_over, Why::Expired).await?;
        append_facts(&mut tx, batch, &new_bookings).await?;
        if batch.prepared.is_free {
            buy_free_bookings(&mut tx, batch).await?;
        }
        tx.commit().await?;
        Ok(Commit::Done(taken_over))
    }
}
