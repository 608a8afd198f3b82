//! Deciding a batch: propose on the map in memory, lock in Redis, write in PostgreSQL, settle in Redis.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use super::Fault;
use super::carts::told;
use super::plan::{Belief, Plan};
use crate::domain::{EventId, Outcome, Refusal, UserId};
use crate::queue::claim::{Batch, ClaimedJob, Lease};
use crate::queue::{Queue, QueueError};

use crate::queue::lease::{GiveBack, LeaseLost};
use crate::queue::lock::Locked;
use crate::queue::settle::{Decided, Ending};
use crate::store::{BatchWrite, ClaimedPlace, Commit, Prepared, Store, StoreError};

/// Times that a batch is decided anew because something was not as believed. One is usual after another worker
/// had the lane; more than a few mean that belief and store do not meet.
const ROUNDS: u32 = 12;
/// A lane is kept for this long at most before other lanes have their turn.
const RUN: Duration = Duration::from_millis(500);
/// After so many rounds what is believed is read anew as a whole.
const RELOAD: u32 = 2;
/// What is believed of an event is good for this long without a look; hints of freed places are kept for an hour.
const BELIEF: Duration = Duration::from_mins(10);
/// A lane whose seats somebody else has locked rests this long.
const FOREIGN_LOCK: Duration = Duration::from_millis(50);
/// The longest rest after failures.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// What became of a batch.
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
    #[error("seats kept changing under {ROUNDS} attempts to decide this batch")]
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

    /// Decides a batch, and further ones of up to `most` jobs under the same lease for a while, and gives the lane
    /// back, whatever happens. While one batch is settled in Redis the next one is decided in PostgreSQL.
    ///
    /// # Errors
    /// Why a batch was not decided; the lane was given back where that could be done.
    pub async fn reserve(&self, first: Batch, most: usize) -> Result<Reserved, ReserveError> {
        let shared = self.beliefs.lock().entry(first.lease.event).or_default().clone();
        // Held to the end: a batch of a lost lease must not move what a newer one believes.
        let mut kept = shared.lock().await;
        // Taken out, and put back after success only: a batch that is cut short leaves no half belief behind.
        let mut belief = kept.take().filter(|belief| belief.looked.elapsed() < BELIEF);
        let reserved = self.reserve_on(&mut belief, first, most).await?;
        *kept = belief;
        drop(kept);
        self.forget_idle();
        Ok(reserved)
    }

    async fn reserve_on(
        &self,
        belief: &mut Option<Belief>,
        first: Batch,
        most: usize,
    ) -> Result<Reserved, ReserveError> {
        let started = Instant::now();
        let mut reserved = Reserved { ended: 0, waiting: 0, batches: 0 };
        let (mut batch, mut settling) = (first, None);
        loop {
            let began = Instant::now();
            let mut decided = Decided::default();
            let result = self.decide_all(belief, &batch, &mut decided).await;
            let before = finish(settling.take()).await;
            // A batch before this one that could not be settled is read back by the next claim, as this one is.
            if let Err(error) = result.and(before) {
                self.give_back(&batch, &decided, &error).await;
                return Err(error);
            }
            record(&decided, began.elapsed());
            reserved.ended += decided.endings.len();
            reserved.batches += 1;
            // Only when nobody of this batch waits on may others be decided.
            let is_whole = decided.endings.len() == batch.jobs.len();
            let next = if is_whole && started.elapsed() < RUN {
                self.queue.extend(&batch.lease, most).await.unwrap_or(None)
            } else {
                None
            };
            let (queue, gives_back) = (self.queue.clone(), next.is_none());
            let settle = tokio::spawn(async move {
                let mut phase = Phase::begin();
                let settled = queue.settle(&batch, &decided, gives_back).await;
                phase.end("settle");
                settled
            });
            let Some(next) = next else {
                reserved.waiting = finish(Some(settle)).await?;
                return Ok(reserved);
            };
            (batch, settling) = (next, Some(settle));
        }
    }

    /// Decides part by part: a part that fails by itself is halved until one job fails alone.
    async fn decide_all(
        &self,
        belief: &mut Option<Belief>,
        batch: &Batch,
        decided: &mut Decided,
    ) -> Result<(), ReserveError> {
        let mut parts: Vec<&[ClaimedJob]> = vec![&batch.jobs];
        while let Some(part) = parts.pop() {
            match self.decide(belief, &batch.lease, part, decided).await {
                Ok([]) => {}
                Ok(rest) => parts.push(rest),
                // What was decided so far is settled; the jobs behind the locked seat wait.
                Err(ReserveError::ForeignLock) if !decided.endings.is_empty() => {
                    decided.delay = FOREIGN_LOCK;
                    return Ok(());
                }
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    *belief = None;
                    if let [job] = part {
                        let is_over = job.attempts + 1 >= self.max_attempts;
                        log_failure(&batch.lease, job, &error, is_over);
                        if is_over {
                            self.fail(&batch.lease, job, decided).await?;
                            continue;
                        }
                        decided.stuck = Some(job.number);
                        decided.delay = self.rest(job.attempts);
                        return Ok(());
                    }
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(())
    }

    /// Decides jobs in one transaction; the rest that must be decided after them.
    async fn decide<'a>(
        &self,
        belief: &mut Option<Belief>,
        lease: &Lease,
        jobs: &'a [ClaimedJob],
        decided: &mut Decided,
    ) -> Result<&'a [ClaimedJob], ReserveError> {
        let mut jobs_now: Vec<&ClaimedJob> = jobs.iter().collect();
        for round in 0..ROUNDS {
            if round == RELOAD {
                // Other workers have taken more than a proposal at a time would tell.
                *belief = None;
            }
            let mine = self.believe(belief, lease.event).await?;
            let Some(mine) = mine else {
                self.fail_gone(lease.event, &jobs_now, decided).await?;
                return Ok(&[]);
            };
            let mut phase = Phase::begin();
            let Some(prepared) = self.prepare(mine, lease.event, &jobs_now).await? else {
                *belief = None;
                continue;
            };
            phase.end("prepare");
            let plan = catch_unwind(AssertUnwindSafe(|| mine.plan(&jobs_now, &prepared)))
                .map_err(|_| ReserveError::Panicked)?;
            phase.end("plan");
            let locked = self.lock(lease, &plan, decided).await;
            phase.end("lock");
            let first_kept_out = match locked {
                Ok(kept_out) => kept_out,
                Err(error) => {
                    mine.undo(&plan);
                    return Err(error);
                }
            };
            if let Some(first) = first_kept_out {
                mine.undo(&plan);
                let before = jobs_now.iter().position(|job| job.number == first).unwrap_or(0);
                if before == 0 {
                    return Err(ReserveError::ForeignLock);
                }
                jobs_now.truncate(before);
                continue;
            }
            let commit = self.store.commit_batch(&write(lease, &prepared, &plan)).await;
            phase.end("commit");
            match commit {
                Ok(Commit::Done(freed)) => {
                    mine.done(&plan);
                    for one in &freed {
                        let told = told(&mut decided.told, one, true);
                        if let ClaimedPlace::Seat(seat) = one.place {
                            told.seats.push(seat);
                        }
                    }
                    note_endings(decided, plan, prepared.now_ms);
                    return Ok(&jobs[jobs_now.len()..]);
                }
                Ok(Commit::Conflict { free, expired, taken }) => {
                    mine.undo(&plan);
                    mine.note_free(&free, false);
                    mine.note_free(&expired, true);
                    mine.note_taken(&taken);
                    metrics::counter!("usher_batch_conflicts_total").increment(1);
                }
                Ok(Commit::Stale { fence }) => return Err(ReserveError::Stale(fence)),
                Err(error) => {
                    mine.undo(&plan);
                    return Err(error.into());
                }
            }
        }
        Err(ReserveError::Unsettled)
    }

    /// What is believed of the event; read from PostgreSQL when nothing is. `None` when the event is gone.
    async fn believe<'a>(
        &self,
        belief: &'a mut Option<Belief>,
        event: EventId,
    ) -> Result<Option<&'a mut Belief>, ReserveError> {
        if belief.is_none() {
            let Some(layout) = self.store.layout(event).await? else { return Ok(None) };
            let (claims, xmin) = self.store.live_claims(event).await?;
            *belief = Some(Belief::new(Arc::new(layout), &claims, xmin));
        }
        Ok(belief.as_mut())
    }

    /// Reads what a batch is decided on and believes what came free; `None` when the layout has changed.
    async fn prepare(
        &self,
        mine: &mut Belief,
        event: EventId,
        jobs: &[&ClaimedJob],
    ) -> Result<Option<Prepared>, ReserveError> {
        let nonce = |job: &ClaimedJob| job.envelope.as_ref().map_or(0, |envelope| envelope.nonce);
        let numbers: Vec<(u64, u64)> = jobs.iter().map(|job| (job.number, nonce(job))).collect();
        let mut users: Vec<UserId> =
            jobs.iter().filter_map(|job| job.envelope.as_ref()).map(|job| job.owner).collect();
        users.sort_unstable();
        users.dedup();
        let prepared = self.store.prepare_batch(event, &numbers, &users, &mine.xmin, &mine.seen).await?;
        let Some(prepared) = prepared.filter(|read| read.layout_version == mine.layout.version) else {
            return Ok(None);
        };
        mine.note_free(&prepared.freed.places, false);
        mine.xmin.clone_from(&prepared.freed.xmin);
        mine.seen.clone_from(&prepared.freed.rows);
        mine.looked = Instant::now();
        Ok(Some(prepared))
    }

    /// Takes the locks of a plan; the number of the first job that a foreign lock keeps out.
    async fn lock(
        &self,
        lease: &Lease,
        plan: &Plan,
        decided: &mut Decided,
    ) -> Result<Option<u64>, ReserveError> {
        let keys = self.queue.keys();
        let wanted: Vec<Vec<String>> = plan
            .places
            .iter()
            .map(|places| {
                let key = |place: &ClaimedPlace| match place {
                    ClaimedPlace::Seat(seat) => keys.seat_lock(lease.event, *seat),
                    ClaimedPlace::Slot(area, slot) => keys.slot_lock(lease.event, *area, *slot),
                };
                places.iter().map(key).collect()
            })
            .collect();
        let locked = self.queue.lock(lease, &wanted).await.map_err(Fault::from)?;
        decided.locks.extend(wanted.into_iter().flatten());
        match locked {
            Locked::Stale => Err(ReserveError::LeaseLost),
            Locked::Except(kept_out) => {
                Ok(kept_out.into_iter().min().and_then(|at| plan.writes.get(at)).map(|job| job.number))
            }
        }
    }

    /// Ends a job that failed by itself too often.
    async fn fail(&self, lease: &Lease, job: &ClaimedJob, decided: &mut Decided) -> Result<(), ReserveError> {
        let outcome = match &job.envelope {
            Some(envelope) => {
                self.store.end_job(lease.event, job.number, envelope, Refusal::Internal).await?
            }
            None => Outcome::Failed(Refusal::Internal),
        };
        decided.endings.insert(job.number, Ending::Decided(outcome));
        Ok(())
    }

    /// The event was deleted: nothing can be reserved any more.
    async fn fail_gone(
        &self,
        event: EventId,
        jobs: &[&ClaimedJob],
        decided: &mut Decided,
    ) -> Result<(), ReserveError> {
        for job in jobs {
            let outcome = match &job.envelope {
                Some(envelope) => {
                    self.store.end_job(event, job.number, envelope, Refusal::SaleClosed).await?
                }
                None => Outcome::Failed(Refusal::SaleClosed),
            };
            decided.endings.insert(job.number, Ending::Decided(outcome));
        }
        Ok(())
    }

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

    async fn give_back(&self, batch: &Batch, decided: &Decided, error: &ReserveError) {
        let mut how = GiveBack { locks: decided.locks.clone(), ..GiveBack::default() };
        match error {
            ReserveError::LeaseLost => return,
            ReserveError::Stale(fence) => how.least_fence = *fence,
            ReserveError::ForeignLock => how.delay = FOREIGN_LOCK,
            ReserveError::Fault(_) | ReserveError::Panicked | ReserveError::Unsettled => {
                how.delay = self.rest(1);
            }
        }
        if let Err(error) = self.queue.give_back(&batch.lease, &how).await {
            tracing::warn!(
                event.id = batch.lease.event.0,
                error = crate::telemetry::chain(&error),
                "lane could not be given back; its lease will run out"
            );
        }
    }
}

/// A settlement under way.
type Settling = JoinHandle<Result<Result<u64, LeaseLost>, QueueError>>;

/// Waits for a settlement; how many wait on in the lane.
async fn finish(settling: Option<Settling>) -> Result<u64, ReserveError> {
    let Some(settling) = settling else { return Ok(0) };
    let settled = settling.await.map_err(|_| ReserveError::Panicked)?;
    settled.map_err(Fault::from)?.map_err(|_| ReserveError::LeaseLost)
}

/// Tells the metrics how long each phase of a batch took.
struct Phase(Instant);

impl Phase {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn end(&mut self, name: &'static str) {
        let took = std::mem::replace(&mut self.0, Instant::now()).elapsed();
        metrics::histogram!("usher_batch_phase_seconds", "phase" => name).record(took);
    }
}

fn write<'a>(lease: &'a Lease, prepared: &'a Prepared, plan: &'a Plan) -> BatchWrite<'a> {
    BatchWrite {
        lease,
        prepared,
        jobs: &plan.writes,
        refused_seats: plan.refused_seats.clone(),
        is_short: plan.is_short,
        taken_over: plan.taken_over.clone(),
        known_expired: plan.known_expired.clone(),
        limited: plan.limited.clone(),
    }
}

fn note_endings(decided: &mut Decided, plan: Plan, now_ms: i64) {
    decided.now_ms = now_ms;
    for (number, outcome) in plan.known {
        decided.endings.insert(number, Ending::Decided(outcome));
    }
    for job in plan.writes {
        let ending = job.outcome.map_or(Ending::StandsBy, Ending::Decided);
        decided.endings.insert(job.number, ending);
    }
}

fn log_failure(lease: &Lease, job: &ClaimedJob, error: &ReserveError, is_over: bool) {
    tracing::error!(
        event.id = lease.event.0,
        job.number = job.number,
        job.attempts = job.attempts + 1,
        error = crate::telemetry::chain(error),
        "job failed by itself{}",
        if is_over { " for the last time" } else { "; it will be tried again in its place" }
    );
}

fn record(decided: &Decided, took: Duration) {
    metrics::histogram!("usher_batch_jobs").record(u32::try_from(decided.endings.len()).unwrap_or(u32::MAX));
    metrics::histogram!("usher_batch_seconds").record(took);
    for ending in decided.endings.values() {
        let outcome = match ending {
            Ending::Decided(Outcome::Completed(_)) => "completed",
            Ending::Decided(Outcome::Failed(refusal)) => refusal.code(),
            Ending::StandsBy => "standby",
        };
        metrics::counter!("usher_jobs_total", "outcome" => outcome).increment(1);
    }
}
