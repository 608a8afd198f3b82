//! Deciding batches: propose on the map in memory, lock in Redis, write in PostgreSQL, settle in Redis.
//!
//! In reading order: [`Reserver`] knows the events, with what is [`kept`] of each; [`run`] goes on a lane for as long as a
//! lease may be kept; [`propose`] makes a [`plan`] and takes its locks; [`decide`] writes it, and halves what fails by itself.

mod decide;
mod kept;
mod plan;
mod propose;
mod run;

pub use run::BatchSize;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use self::kept::{Kept, growing};
use self::run::Run;
use super::Fault;
use super::reservation_keys::show_event;
use crate::domain::EventId;
use crate::queue::claim::{Batch, Lease};
use crate::queue::lease::GiveBack;
use crate::queue::{Queue, QueueError};
use crate::rush;
use crate::store::{Store, StoreError, in_time};

/// PostgreSQL is there when it answers within this.
const ANSWER: Duration = Duration::from_secs(1);
/// The longest rest after a job has failed by itself.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// The longest rest after a batch could not be decided, as when a store is away: it shall be found soon after it is back.
const LONGEST_REST_OF_LANE: Duration = Duration::from_secs(2);

/// How often it is looked whether a rush is over, to show what was won in it.
const SHOW: Duration = Duration::from_secs(1);
/// In one that does not end it is shown this often.
const SHOW_IN_A_RUSH: Duration = Duration::from_mins(1);

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
    kept: Arc<Mutex<HashMap<EventId, Shared>>>,
    /// Events of which something was won in a rush that is not shown yet.
    unshown: Arc<Mutex<HashSet<EventId>>>,
}

type Shared = Arc<AsyncMutex<Kept>>;

impl Reserver {
    /// A job that fails by itself is tried so many times, resting from `backoff` on, twice as long each time. So does a lane
    /// that cannot be decided, which is tried for ever.
    pub fn new(store: Store, queue: Queue, max_attempts: u32, backoff: Duration) -> Self {
        Self { store, queue, max_attempts, backoff, kept: Arc::default(), unshown: Arc::default() }
    }

    /// Decides a batch, and further ones of that size, which is fitted on the way, under the same lease for a while, which
    /// is shorter when other lanes wait, and gives the lane back, whatever happens. While one batch is written in PostgreSQL
    /// the next one is proposed, and the one before is settled in Redis.
    ///
    /// # Errors
    /// Why a batch was not decided; the lane was given back where that could be done.
    pub async fn reserve(
        &self,
        first: Batch,
        size: &mut BatchSize,
        is_to_yield: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Reserved, ReserveError> {
        let shared = self.kept(first.lease.event);
        // Held to the end: a batch of a lost lease must not move what a newer one believes.
        let mut kept = shared.lock().await;
        let mut run = Run::new(self, &first, *size, kept.begin(), is_to_yield);
        let reserved = run.go(first).await;
        *size = run.size;
        kept.failures = run.failures;
        let reserved = reserved?;
        kept.belief = run.belief;
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
        // This time is counted already.
        let failures = self.kept(lease.event).try_lock().map_or(0, |kept| kept.failures.saturating_sub(1));
        let delay = self.rest(failures, LONGEST_REST_OF_LANE);
        let how = GiveBack { delay, failed, ..GiveBack::default() };
        // A lease that was lost needs no giving back.
        self.queue.give_back(lease, &how).await.map(|_| ())
    }

    /// Shows, for ever, what is won in rushes when each is over, or has lasted long.
    pub async fn show_after_rushes(&self) {
        loop {
            let began = Instant::now();
            tokio::time::sleep(SHOW).await;
            while rush::is_on() && began.elapsed() < SHOW_IN_A_RUSH {
                tokio::time::sleep(SHOW).await;
            }
            self.show_unshown().await;
        }
    }

    /// Shows what was won and is not shown yet; what cannot be shown now remains to be.
    pub async fn show_unshown(&self) {
        let events: Vec<EventId> = self.unshown.lock().iter().copied().collect();
        for event in events {
            // One by one, so that the others are kept when this is cut short.
            self.unshown.lock().remove(&event);
            if let Err(error) = show_event(&self.store, &self.queue, event).await {
                let error = crate::telemetry::chain(&error);
                tracing::debug!(event.id = event.0, error, "reservations are not shown; trying again");
                self.show_later(event);
            }
        }
    }

    fn show_later(&self, event: EventId) {
        self.unshown.lock().insert(event);
    }

    /// How long a lane rests after a failure, with so many before it.
    fn rest(&self, failures: u32, longest: Duration) -> Duration {
        growing(self.backoff, failures, longest).mul_f64(rand::random_range(0.75..1.25))
    }

    fn kept(&self, event: EventId) -> Shared {
        self.kept.lock().entry(event).or_default().clone()
    }

    /// Forgets events that nobody has booked for a while, so that the memory is bounded.
    fn forget_idle(&self) {
        self.kept.lock().retain(|_, shared| {
            Arc::strong_count(shared) > 1 || shared.try_lock().is_ok_and(|kept| !kept.is_idle())
        });
    }
}
