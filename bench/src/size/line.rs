//! The lane, and one call of each kind on it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use shared::domain::{
    BookingId, BookingRequest, Envelope, EventId, Outcome, Refusal, Reservation, SeatId, UserId,
};
use shared::queue::Queue;
use shared::queue::claim::{Batch, Claim};
use shared::queue::enqueue::{Added, NewJob};
use shared::queue::lock::Locked;
use shared::queue::settle::{Decided, Ending};

use crate::lab::jobs::best;
use crate::report::say;

/// The lane that is measured.
pub(super) const LANE: EventId = EventId(1);
const WORKER: &str = "bench";
/// Jobs in one call while the lane is filled: as many as a gateway adds at once.
const FILL: usize = 500;
/// Every owner's id has seven digits, so that a job takes the same memory in a short lane and in a long one.
const FIRST_OWNER: i64 = 1_000_000;
const HOLD_MS: i64 = 600_000;

/// A lane, and who waits in it.
pub(super) struct Line {
    queue: Queue,
    request: BookingRequest,
    next_owner: i64,
    /// Who waited when the lane was full, in order.
    pub(super) numbers: Vec<u64>,
}

impl Line {
    /// An empty one.
    pub(super) fn new(queue: &Queue) -> Result<Self> {
        Ok(Self { queue: queue.clone(), request: best(1)?, next_owner: FIRST_OWNER, numbers: Vec::new() })
    }

    /// Fills it until so many wait.
    pub(super) async fn fill(&mut self, waiting: usize) -> Result<()> {
        let style = ProgressStyle::with_template("  {bar:40} {pos}/{len} wait  {elapsed}")?;
        let bar = ProgressBar::new(waiting as u64).with_style(style);
        while self.numbers.len() < waiting {
            let count = FILL.min(waiting - self.numbers.len());
            let (numbers, _) = self.add(count).await?;
            self.numbers.extend(numbers);
            bar.inc(count as u64);
            if bar.is_hidden() && bar.position().is_multiple_of(100_000) {
                say(&format!("  {} of {waiting} wait", bar.position()));
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Adds jobs in one call, each of another owner; their numbers, and how long the call took.
    pub(super) async fn add(&mut self, count: usize) -> Result<(Vec<u64>, Duration)> {
        let jobs: Vec<NewJob> = (0..count).map(|_| self.new_job()).collect();
        let started = Instant::now();
        let added = self.queue.enqueue(LANE, &jobs).await?;
        let took = started.elapsed();
        let mut numbers = Vec::with_capacity(count);
        for job in added.context("the partition does not keep its epoch")?.jobs {
            let Added::Queued { number, is_new: true, .. } = job else {
                bail!("a job was not added: {job:?}")
            };
            numbers.push(number);
        }
        Ok((numbers, took))
    }

    fn new_job(&mut self) -> NewJob {
        let owner = UserId(self.next_owner);
        self.next_owner += 1;
        // As a gateway adds them: an address goes with each.
        let ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let request = self.request.clone();
        let envelope = Envelope { owner, nonce: rand::random(), is_keyed: false, ip, request };
        NewJob { envelope, idempotency: None }
    }

    /// Claims a batch and settles it, each job with a seat; how long these two took.
    pub(super) async fn decide(&self, count: usize) -> Result<Duration> {
        let started = Instant::now();
        let claim = self.queue.claim(LANE, WORKER, count).await?;
        let claimed = started.elapsed();
        let Claim::Batch(batch) = claim else { bail!("the lane could not be claimed: {claim:?}") };
        if batch.jobs.len() != count {
            bail!("{} jobs were claimed, not {count}", batch.jobs.len());
        }
        let decided = self.decided(&batch, claimed)?;
        let locks: Vec<Vec<String>> = decided.locks.iter().map(|lock| vec![lock.clone()]).collect();
        // A worker locks seats before it decides, and settling releases them.
        if self.queue.lock(&batch.lease, &locks).await? != Locked::Except(Vec::new()) {
            bail!("seats of an earlier batch are still locked");
        }
        let started = Instant::now();
        let settled = self.queue.settle(&batch, &decided, true).await?;
        let took = claimed + started.elapsed();
        settled?;
        Ok(took)
    }

    /// A seat for every job; every batch gets the same ones, so that their keys do not add up.
    fn decided(&self, batch: &Batch, took: Duration) -> Result<Decided> {
        let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let mut decided = Decided { now_ms, took, ..Decided::default() };
        for (job, seat) in batch.jobs.iter().zip((1..).map(SeatId)) {
            let won = Reservation {
                booking: BookingId::new(),
                seats: vec![seat],
                slots: Vec::new(),
                expires_at_ms: now_ms + HOLD_MS,
            };
            decided.endings.insert(job.number, Ending::Decided(Outcome::Completed(won)));
            decided.locks.push(self.queue.keys().seat_lock(LANE, seat));
        }
        Ok(decided)
    }

    /// Lets one job leave; how long that took.
    pub(super) async fn leave(&self, number: u64) -> Result<Duration> {
        let page = self.queue.waiting_after(LANE, number - 1, 1, false).await?;
        let Some((found, Some(envelope))) = page.into_iter().next() else {
            bail!("nobody waits from {number} on")
        };
        let leaving = [(found, envelope, Outcome::Failed(Refusal::Left))];
        let started = Instant::now();
        let left = self.queue.leave(LANE, &leaving).await?;
        let took = started.elapsed();
        if found != number || left != 1 {
            bail!("job {number} was gone already");
        }
        Ok(took)
    }

    /// How many Redis says are ahead of a job, and how long that took.
    pub(super) async fn rank(&self, number: u64) -> Result<(u64, Duration)> {
        let mut command = redis::cmd("ZCOUNT");
        command.arg(self.queue.keys().wait(LANE)).arg("-inf").arg(format!("({number}"));
        let started = Instant::now();
        let ahead = command.query_async(&mut self.queue.connection()).await?;
        Ok((ahead, started.elapsed()))
    }
}
