//! Deciding batches: propose on the map in memory, lock in Redis, write in PostgreSQL, settle in Redis.
//!
//! In reading order: [`Reserver`] knows the events; [`run`] goes on a lane for as long as a lease may be kept;
//! [`propose`] makes a [`plan`] and takes its locks; [`decide`] writes it, and halves what fails by itself.

mod decide;
mod plan;
mod propose;
mod run;

pub use run::BatchSize;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use self::plan::Belief;
use self::run::Run;
use super::Fault;
use crate::domain::EventId;
use crate::queue::claim::{Batch, Lease};
use crate::queue::lease::GiveBack;
use crate::queue::{Queue, QueueError};
use crate::store::{Store, StoreError, in_time};

/// What is believed of an event is good for this long without a look; hints of freed places are kept for an hour.
const BELIEF: Duration = Duration::from_mins(10);
/// PostgreSQL is there when it answers within this.
const ANSWER: Duration = Duration::from_secs(1);
/// The longest rest after failures.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// What became of a batch and those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// Jobs that ended or stand by.
    pub ended: usize,
    /// Jobs that wait on in the lane.
    pub waiting: u64,
    /// In so many batches.
    pub batches: u32,
}

/// Why a batch was not decided. Nothing is lost by it: the jobs wait, each in its place.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Somebody else has the lane.
    #[error("the lease on this lane was lost")]
    LeaseLost,
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A seat of the first job is locked by another lane.
    #[error("a seat is locked from elsewhere")]
    ForeignLock,
    /// PostgreSQL has seen a newer lease.
    #[error("PostgreSQL has seen fence {0} of this lane already")]
    Stale(u64),
    /// The decision panicked.
    #[error("deciding this batch panicked")]
    Panicked,
    /// Belief and store do not meet.
    #[error("seats kept changing under every attempt to decide this batch")]
    Unsettled,
}

impl From<StoreError> for ReserveError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl ReserveError {
    /// Nothing is wrong with the jobs: they wait without losing an attempt.
    fn is_passing(&self) -> bool {
        match self {
            Self::Fault(Fault::Store(error)) => error.is_passing(),
            Self::Fault(Fault::Queue(_)) | Self::LeaseLost | Self::ForeignLock | Self::Stale(_) => true,
            Self::Panicked | Self::Unsettled => false,
        }
    }
}

/// Decides batches; clones share what is believed of the events.
#[derive(Clone)]
pub struct Reserver {
    store: Store,
    queue: Queue,
    max_attempts: u32,
    backoff: Duration,
    beliefs: Arc<Mutex<HashMap<EventId, Shared>>>,
}

type Shared = Arc<AsyncMutex<Option<Belief>>>;

impl Reserver {
    /// A job that fails by itself is tried so many times, resting from `backoff` on, twice as long each time.
    pub fn new(store: Store, queue: Queue, max_attempts: u32, backoff: Duration) -> Self {
        Self { store, queue, max_attempts, backoff, beliefs: Arc::default() }
    }

    /// Decides a batch, and further ones of that size, which is fitted on the way, under the same lease for a while, and gives the lane
    /// back, whatever happens. While one batch is written in PostgreSQL the next one is proposed, and the one before
    /// is settled in Redis.
    ///
    /// # Errors
    /// Why a batch was not decided; the lane was given back where that could be done.
    pub async fn reserve(&self, first: Batch, size: &mut BatchSize) -> Result<Reserved, ReserveError> {
        let shared = self.beliefs.lock().entry(first.lease.event).or_default().clone();
        // Held to the end: a batch of a lost lease must not move what a newer one believes.
        let mut kept = shared.lock().await;
        // Taken out, and put back after success only: a batch that is cut short leaves no half belief behind.
        let belief = kept.take().filter(|belief| belief.looked.elapsed() < BELIEF);
        let mut run = Run::new(self, &first, *size, belief);
        let reserved = run.go(first).await;
        *size = run.size;
        let reserved = reserved?;
        *kept = run.belief;
        drop(kept);
        self.forget_idle();
        Ok(reserved)
    }

    /// Gives the lane of a batch back that was cut short because it took too long; a job that was alone in it has had an
    /// attempt, unless PostgreSQL does not answer at all. What it is still at is undone, or read back after the next claim.
    ///
    /// # Errors
    /// Redis is away; the lease then runs out.
    pub async fn give_up(&self, lease: &Lease, alone: Option<u64>) -> Result<(), QueueError> {
        let is_to_blame = alone.is_some() && in_time(ANSWER, self.store.ping()).await.is_ok();
        let failed = alone.filter(|_| is_to_blame);
        let how = GiveBack { delay: self.rest(1), failed, ..GiveBack::default() };
        // A lease that was lost needs no giving back.
        self.queue.give_back(lease, &how).await.map(|_| ())
    }

    /// How long a lane rests after a job has failed by itself so often.
    fn rest(&self, attempts: u32) -> Duration {
        let rest = self.backoff.saturating_mul(1u32 << attempts.min(10)).min(LONGEST_REST);
        rest.mul_f64(rand::random_range(0.75..1.25))
    }

    /// Forgets events that nobody has booked for a while, so that the memory is bounded.
    fn forget_idle(&self) {
        self.beliefs.lock().retain(|_, belief| {
            Arc::strong_count(belief) > 1
                || belief
                    .try_lock()
                    .is_ok_and(|kept| kept.as_ref().is_some_and(|belief| belief.looked.elapsed() < BELIEF))
        });
    }
}
