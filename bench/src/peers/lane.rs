//! A lane on an otherwise empty Redis, without anybody else who works on it.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use shared::domain::{BookingId, BookingRequest, Envelope, EventId, Outcome, Reservation, UserId};
use shared::queue::claim::{Batch, Claim};
use shared::queue::control::Controls;
use shared::queue::enqueue::NewJob;
use shared::queue::settle::{Decided, Ending};
use shared::queue::{Partition, Queue};

use crate::lab::Lab;
use crate::lab::jobs::{best, enqueue};

/// No event is needed: nothing here reaches PostgreSQL.
const EVENT: EventId = EventId(1);
const WORKER: &str = "beside-others";
/// A new epoch rests for some seconds before its first claim.
const FIRST_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A lane, and its only worker.
pub(super) struct Lane {
    /// The queue that it is in.
    pub(super) queue: Queue,
    /// Its event.
    pub(super) event: EventId,
}

impl Lane {
    /// Empties Redis, and opens a lane through which one job has gone already.
    pub(super) async fn open(lab: &Lab) -> Result<Self> {
        empty(lab).await?;
        let lane = Self { queue: lab.queue.clone(), event: EVENT };
        lane.queue.copy_controls(lane.partition(), &Controls::default()).await?;
        enqueue(&lane.queue, lane.event, [(shopper(0), best(1)?)]).await?;
        let batch = lane.claim(1).await?.context("the first job is not there")?;
        lane.settle(&batch, Duration::ZERO).await?;
        Ok(lane)
    }

    /// Its partition.
    pub(super) fn partition(&self) -> Partition {
        Partition::of(self.event)
    }

    /// Adds the jobs of these shoppers, one each, in large calls.
    pub(super) async fn fill(&self, shoppers: Range<u32>) -> Result<()> {
        let request = best(1)?;
        let jobs = shoppers.map(|nth| (shopper(nth), request.clone()));
        enqueue(&self.queue, self.event, jobs).await?;
        Ok(())
    }

    /// Fails unless so many jobs wait.
    pub(super) async fn check_waiting(&self, expected: u32) -> Result<()> {
        let waiting = self.queue.lane_state(self.event).await?.waiting;
        ensure!(waiting == u64::from(expected), "{waiting} jobs wait instead of {expected}");
        Ok(())
    }

    /// Claims the head of the lane as soon as that may be; `None` when nobody waits.
    pub(super) async fn claim(&self, max_jobs: usize) -> Result<Option<Batch>> {
        let deadline = Instant::now() + FIRST_LIMIT;
        loop {
            match self.queue.claim(self.event, WORKER, max_jobs).await? {
                Claim::Batch(batch) => return Ok(Some(batch)),
                Claim::Empty => return Ok(None),
                Claim::NotBefore(_) | Claim::Recovering(_) if Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                other @ (Claim::NotBefore(_)
                | Claim::Recovering(_)
                | Claim::Paused
                | Claim::NoControls(_)
                | Claim::NoEpoch
                | Claim::Restarted(_)) => bail!("the lane cannot be claimed: {other:?}"),
            }
        }
    }

    /// Ends the jobs of a batch, each with a booking of no seats: there is nothing to show in Redis for it.
    pub(super) async fn settle(&self, batch: &Batch, took: Duration) -> Result<()> {
        let end = |number: u64| (number, Ending::Decided(Outcome::Completed(nothing())));
        let endings = batch.jobs.iter().map(|job| end(job.number)).collect();
        let decided = Decided { endings, took, ..Decided::default() };
        self.queue.settle(batch, &decided, true).await??;
        Ok(())
    }
}

fn nothing() -> Reservation {
    Reservation { booking: BookingId::new(), seats: Vec::new(), slots: Vec::new(), expires_at_ms: 0 }
}

/// Empties Redis.
pub(super) async fn empty(lab: &Lab) -> Result<()> {
    let _: String =
        redis::cmd("FLUSHALL").query_async(&mut lab.queue.connection()).await.context("empty Redis")?;
    Ok(())
}

/// Somebody; ids begin with 1.
pub(super) fn shopper(nth: u32) -> UserId {
    UserId(i64::from(nth) + 1)
}

/// A job of somebody.
pub(super) fn new_job(nth: u32, request: &BookingRequest) -> NewJob {
    let envelope = Envelope {
        owner: shopper(nth),
        nonce: rand::random(),
        is_keyed: false,
        ip: None,
        request: request.clone(),
    };
    NewJob { envelope, idempotency: None }
}
