//! A run on one lane: batch after batch under one lease.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::plan::Belief;
use super::propose::{Proposal, Proposed};
use super::{Fault, LONGEST_REST_OF_LANE, ReserveError, Reserved, Reserver};
use crate::domain::Outcome;
use crate::queue::QueueError;
use crate::queue::claim::{Batch, Lease};
use crate::queue::lease::{GiveBack, LeaseLost};
use crate::queue::settle::{Decided, Ending};
use crate::rush;
use crate::seen::{self, Activity};

/// A lane is kept for this long at least while it has jobs,
const RUN: Duration = Duration::from_millis(500);
/// and for this long at most where it need not yield, as no other lane waits for its turn: giving it back and claiming it
/// anew costs those who wait some tens of milliseconds.
const LONGEST_RUN: Duration = Duration::from_secs(2);
/// From one batch to the next at least, unless that many are in one or it is full: a batch has a cost of its own, which
/// those who come within some milliseconds share.
const BETWEEN: Duration = Duration::from_millis(20);
const MANY: usize = 256;
/// A full batch that was written in less than this is followed by a larger one, as is a small one that was not slow,
const QUICK: Duration = Duration::from_millis(40);
/// and one that took longer than this by a smaller one.
const SLOW: Duration = Duration::from_millis(150);
/// No smaller than this by itself.
const SMALL_BATCH: usize = 32;
/// One that took too long is followed by one of this part of it.
const CUT: usize = 8;
/// A lane whose seats somebody else has locked rests this long.
pub(super) const FOREIGN_LOCK: Duration = Duration::from_millis(50);

/// What one worker does on one lane, from a claim until it gives the lane back.
pub(super) struct Run<'a> {
    pub(super) reserver: &'a Reserver,
    pub(super) lease: Lease,
    /// `None` until it is read, and after anything that throws doubt on it.
    pub(super) belief: Option<Belief>,
    /// Batches of this lane that could not be decided since one was.
    pub(super) failures: u32,
    pub(super) size: BatchSize,
    started: Instant,
    is_to_yield: &'a (dyn Fn() -> bool + Send + Sync),
    /// When the last batch was taken, how many jobs it had, and the number of the last of them.
    taken: Taken,
}

struct Taken {
    when: Instant,
    jobs: usize,
    last: u64,
}

impl Taken {
    fn now(batch: &Batch) -> Self {
        let last = batch.jobs.last().map_or(0, |job| job.number);
        Self { when: Instant::now(), jobs: batch.jobs.len(), last }
    }
}

/// How many jobs one takes at once: as many as can be written in good time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    now: usize,
    most: usize,
}

impl BatchSize {
    /// Begins with so many, and never takes more than `most`.
    pub fn new(first: usize, most: usize) -> Self {
        Self { now: first.min(most), most }
    }

    /// So many at once.
    pub fn get(self) -> usize {
        self.now
    }

    /// Far fewer than these from now on, as they took too long: after a few times the one who is to blame is alone.
    pub fn cut(&mut self, jobs: usize) {
        self.now = (jobs.min(self.now) / CUT).max(1);
    }

    /// Half as many from now on.
    fn halve(&mut self) {
        self.now = (self.now / 2).max(SMALL_BATCH.min(self.now)).min(self.most);
    }

    /// Fits the size of further batches to how long one with so many jobs took to write.
    pub(super) fn note(&mut self, jobs: usize, took: Duration) {
        if took > SLOW {
            self.halve();
        } else if jobs >= self.now && (took < QUICK || self.now < SMALL_BATCH) {
            self.now = (self.now * 2).min(self.most);
        }
    }
}

/// A batch under way.
pub(super) struct Turn {
    pub(super) batch: Batch,
    /// Made while the batch before was written.
    pub(super) proposal: Option<Proposal>,
    pub(super) decided: Decided,
    /// The batch after this one, taken while this one was written.
    pub(super) next: Option<Box<Turn>>,
}

impl Turn {
    fn new(batch: Batch) -> Self {
        Self { batch, proposal: None, decided: Decided::default(), next: None }
    }
}

impl<'a> Run<'a> {
    /// A run that begins with the batch that was claimed.
    pub(super) fn new(
        reserver: &'a Reserver,
        first: &Batch,
        size: BatchSize,
        (belief, failures): (Option<Belief>, u32),
        is_to_yield: &'a (dyn Fn() -> bool + Send + Sync),
    ) -> Self {
        let taken = Taken::now(first);
        let started = taken.when;
        Self { reserver, lease: first.lease.clone(), belief, failures, size, started, is_to_yield, taken }
    }

    /// Decides batches until the lane is empty or others shall have their turn.
    pub(super) async fn go(&mut self, first: Batch) -> Result<Reserved, ReserveError> {
        let mut reserved = Reserved { ended: 0, waiting: 0, batches: 0 };
        let (mut turn, mut settling) = (Turn::new(first), None);
        loop {
            let began = Instant::now();
            rush::note(turn.batch.jobs.len());
            let result = self.decide_all(&mut turn).await;
            let before = finish(settling.take()).await;
            // A batch before this one that could not be settled is read back by the next claim, as this one is.
            if let Err(error) = result.and(before) {
                self.give_back(turn, &error).await;
                return Err(error);
            }
            let Turn { batch, mut decided, next, .. } = turn;
            decided.took = began.elapsed();
            decided.is_shown_later = rush::is_on();
            if decided.is_shown_later {
                self.reserver.show_later(self.lease.event);
            }
            record(&decided);
            self.failures = 0;
            reserved.ended += decided.endings.len();
            reserved.batches += 1;
            // Only when nobody of this batch waits on may others be decided.
            let next = if decided.endings.len() == batch.jobs.len() {
                match next {
                    Some(next) => Some(*next),
                    None => self.take_more().await.map(Turn::new),
                }
            } else {
                self.forgo(next, &mut decided);
                None
            };
            let (queue, gives_back) = (self.reserver.queue.clone(), next.is_none());
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
            (turn, settling) = (next, Some(settle));
        }
    }

    /// Takes and proposes the next batch on top of a proposal that is being written. It is written only when all of
    /// that stands, so the order stays what it is. Whatever is in the way here is met again when its turn comes.
    pub(super) async fn look_ahead(&mut self, before: &Proposal) -> Option<Box<Turn>> {
        self.belief.as_ref()?;
        let mut turn = Box::new(Turn::new(self.take_more().await?));
        let proposed = self.propose(&turn.batch.jobs, Some(before), &mut turn.decided.locks).await;
        turn.proposal = proposed.ok().and_then(Proposed::made);
        Some(turn)
    }

    /// What was proposed ahead does not stand: it is proposed anew when its turn comes.
    pub(super) fn undo_ahead(&mut self, ahead: Option<&mut Turn>) {
        let proposal = ahead.and_then(|turn| turn.proposal.take());
        if let (Some(proposal), Some(mine)) = (proposal, &mut self.belief) {
            mine.undo(&proposal.plan);
        }
    }

    async fn take_more(&mut self) -> Option<Batch> {
        let kept_for = self.started.elapsed();
        if kept_for > LONGEST_RUN || (kept_for > RUN && (self.is_to_yield)()) {
            return None;
        }
        if self.taken.jobs < MANY.min(self.size.get()) {
            tokio::time::sleep_until((self.taken.when + BETWEEN).into()).await;
        }
        let (queue, size) = (&self.reserver.queue, self.size.get());
        let batch = queue.extend(&self.lease, self.taken.last, size).await.unwrap_or(None)?;
        self.taken = Taken::now(&batch);
        Some(batch)
    }

    /// Leaves the batch after this one to the next claim.
    fn forgo(&mut self, mut next: Option<Box<Turn>>, decided: &mut Decided) {
        self.undo_ahead(next.as_deref_mut());
        decided.locks.extend(next.into_iter().flat_map(|next| next.decided.locks));
    }

    async fn give_back(&mut self, turn: Turn, error: &ReserveError) {
        let mut decided = turn.decided;
        self.forgo(turn.next, &mut decided);
        let mut how = GiveBack { locks: decided.locks, ..GiveBack::default() };
        match error {
            ReserveError::LeaseLost => return,
            ReserveError::Stale(fence) => how.least_fence = *fence,
            ReserveError::ForeignLock => how.delay = FOREIGN_LOCK,
            ReserveError::Fault(_) | ReserveError::Panicked | ReserveError::Unsettled => {
                how.delay = self.reserver.rest(self.failures, LONGEST_REST_OF_LANE);
                self.failures = self.failures.saturating_add(1);
            }
        }
        let event = self.lease.event.0;
        match self.reserver.queue.give_back(&self.lease, &how).await {
            Ok(Ok(_)) => {}
            Ok(Err(lost)) => tracing::info!(event.id = event, "{lost}; there was nothing to give back"),
            Err(error) => tracing::warn!(
                event.id = event,
                error = crate::telemetry::chain(&error),
                "lane could not be given back; its lease will run out"
            ),
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
pub(super) struct Phase(Instant);

impl Phase {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Ends one and begins the next; how long it took.
    pub(super) fn end(&mut self, name: &'static str) -> Duration {
        let took = std::mem::replace(&mut self.0, Instant::now()).elapsed();
        metrics::histogram!("usher_batch_phase_seconds", "phase" => name).record(took);
        took
    }
}

fn record(decided: &Decided) {
    metrics::histogram!("usher_batch_jobs").record(u32::try_from(decided.endings.len()).unwrap_or(u32::MAX));
    metrics::histogram!("usher_batch_seconds").record(decided.took);
}

/// Counts how jobs ended; not those whose outcome of an earlier delivery is told again.
pub(super) fn count<'a>(endings: impl Iterator<Item = &'a Ending>) {
    let (mut won, mut refused) = (0, 0);
    for ending in endings {
        let outcome = match ending {
            Ending::Decided(Outcome::Completed(_)) => "completed",
            Ending::Decided(Outcome::Failed(refusal)) => refusal.code(),
            Ending::StandsBy => "standby",
        };
        metrics::counter!("usher_jobs_total", "outcome" => outcome).increment(1);
        match ending {
            Ending::Decided(Outcome::Completed(_)) => won += 1,
            Ending::Decided(Outcome::Failed(_)) => refused += 1,
            Ending::StandsBy => {}
        }
    }
    seen::activity(Activity::Booking, won);
    seen::activity(Activity::Refusal, refused);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_quick_and_full_and_shrink_when_they_are_slow() {
        let mut size = BatchSize::new(256, 500);
        size.note(100, Duration::from_millis(5));
        assert_eq!(size.get(), 256, "it was not full");
        size.note(256, Duration::from_millis(5));
        size.note(500, Duration::from_millis(5));
        assert_eq!(size.get(), 500, "no more than the most");
        for _ in 0..10 {
            size.note(1, Duration::from_secs(1));
        }
        assert_eq!(size.get(), SMALL_BATCH);
        assert_eq!(BatchSize::new(256, 7).get(), 7);
    }

    #[tokio::test]
    async fn a_settlement_that_panics_is_a_failure_and_no_end_of_the_worker() {
        let settling: Settling = tokio::spawn(async { panic!("a fault of ours") });
        assert!(matches!(finish(Some(settling)).await, Err(ReserveError::Panicked)));
    }

    #[test]
    fn one_that_takes_too_long_is_soon_alone() {
        let mut size = BatchSize::new(256, 2_000);
        for (jobs, left) in [(256, 32), (32, 4), (4, 1), (1, 1)] {
            size.cut(jobs);
            assert_eq!(size.get(), left);
        }
        size.note(1, Duration::from_secs(1));
        assert_eq!(size.get(), 1, "what is slow makes it no larger");
        for left in [2, 4, 8, 16, 32, 32] {
            size.note(size.get(), SLOW);
            assert_eq!(size.get(), left, "a PostgreSQL that is slow with every batch does not keep it small");
        }
    }
}
