//! What operators do to the queue, and what they see of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{BookError, Booked, Catalogue, Desk, Fault};
use crate::domain::{Envelope, EventId, Outcome, Refusal, UserId};
use crate::queue::control::Pause;
use crate::queue::feed::FeedPage;
use crate::queue::history::{Minute, add_up};
use crate::queue::inspect::{Finished, FinishedJob, LaneState, Request};
use crate::queue::{Partition, Queue};
use crate::store::{Store, StoreError};

/// Lanes told one by one in one answer at most.
const LANES: usize = 200;

/// Lanes that Redis is asked about at the same time at most.
const AT_ONCE: usize = 50;

/// Pages of a line that one call looks through at most.
const PAGES: usize = 10;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperationsError {
    /// No such event, or no such queue.
    #[error("there is no such event or queue")]
    NotFound,
    /// No job with this number waits, or is kept among the failed ones.
    #[error("there is no such job in this lane")]
    NoSuchJob,
    /// The job waits for its turn or is being done; there is no time to shorten.
    #[error("this job waits for its turn, or is being done at this moment")]
    NotDelayed,
    /// Somebody waits for each of these jobs, with an order, a refund or a booking: they are paused, or tried again, and not removed.
    #[error(
        "an order, a refund or a booking waits for each job of this queue; pause it, mend what fails, and retry"
    )]
    Owed,
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for OperationsError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// The operators' side; clones share it.
#[derive(Clone)]
pub struct Operations {
    pub(super) store: Store,
    pub(super) queue: Queue,
    catalogue: Catalogue,
    desk: Desk,
}

/// What became of jobs that were taken out of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// So many ended as `removed`.
    pub removed: u64,
    /// So many are left, waiting or standing by; of a named queue also those that are being done.
    pub left: u64,
}

/// What became of a failed job that was tried once more.
#[derive(Debug)]
pub struct Retried {
    /// The number of the one that failed.
    pub retry_of: u64,
    /// The new job, or why there is none.
    pub booked: Result<Booked, BookError>,
}

/// A lane as operators see it.
#[derive(Debug, Clone)]
pub struct LaneReport {
    /// Which.
    pub event: EventId,
    /// The event's name.
    pub name: String,
    /// How it stands.
    pub state: LaneState,
}

impl Operations {
    /// Operations over these.
    pub fn new(store: Store, queue: Queue, catalogue: Catalogue, desk: Desk) -> Self {
        Self { store, queue, catalogue, desk }
    }

    /// Pauses or resumes one lane or the whole queue, at once, and writes it down; returns how that is called.
    ///
    /// # Errors
    /// No such event, or a store is away; what stands in PostgreSQL reaches Redis within a second.
    pub async fn set_pause(
        &self,
        event: Option<EventId>,
        pause: &Pause,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<String, OperationsError> {
        if let Some(event) = event {
            self.known(event).await?;
        }
        self.store.set_pause(self.queue.name(), event, pause, by).await?;
        let action = if pause.paused { "queue.pause" } else { "queue.resume" };
        let scope = scope(event);
        self.audit(by, ip, action, &scope).await?;
        self.spread(event).await?;
        Ok(scope)
    }

    /// The pause of the whole queue.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn whole_pause(&self) -> Result<Pause, OperationsError> {
        Ok(self.store.controls(self.queue.name()).await?.queue)
    }

    /// The state of one lane, or of those that were used or are paused; and how many there are in all. Where they are many,
    /// those that somebody is in come before the others, and of either those of the newest events.
    ///
    /// # Errors
    /// No such event, or a store is away.
    pub async fn lanes(&self, only: Option<EventId>) -> Result<(Vec<LaneReport>, usize), OperationsError> {
        let events = self.events(only).await?;
        let all = events.len();
        let states = self.states_of(events.clone()).await?;
        let mut lanes: Vec<(EventId, LaneState)> = events.into_iter().zip(states).collect();
        // The newest events stay first among those that are alike.
        lanes.sort_by_key(|(_, state)| is_empty(state));
        lanes.truncate(LANES);
        lanes.sort_unstable_by_key(|(event, _)| *event);
        let mut reports = Vec::with_capacity(lanes.len());
        for (event, state) in lanes {
            let known = self.catalogue.event(event).await?;
            let name = known.map(|event| event.record.name.clone()).unwrap_or_default();
            reports.push(LaneReport { event, name, state });
        }
        Ok((reports, all))
    }

    /// The state of every lane that was used or is paused.
    ///
    /// # Errors
    /// A store is away.
    pub async fn states(&self) -> Result<Vec<LaneState>, OperationsError> {
        let events = self.events(None).await?;
        self.states_of(events).await
    }

    /// The states of these lanes, in their order.
    async fn states_of(&self, events: Vec<EventId>) -> Result<Vec<LaneState>, OperationsError> {
        let asked = stream::iter(events).map(|event| self.queue.lane_state(event)).buffered(AT_ONCE);
        let states: Vec<LaneState> = asked.try_collect().await.map_err(Fault::from)?;
        Ok(states)
    }

    /// The event that is asked for, or all whose lane was used or is paused, the newest first.
    async fn events(&self, only: Option<EventId>) -> Result<Vec<EventId>, OperationsError> {
        if let Some(event) = only {
            self.known(event).await?;
            return Ok(vec![event]);
        }
        let mut events = Vec::new();
        for partition in Partition::all() {
            events.extend(self.queue.lanes(partition).await.map_err(Fault::from)?);
        }
        let controls = self.store.controls(self.queue.name()).await?;
        let paused = controls.lanes.into_iter().filter(|(_, pause)| pause.paused);
        events.extend(paused.map(|(event, _)| event));
        events.sort_unstable_by_key(|event| std::cmp::Reverse(*event));
        events.dedup();
        Ok(events)
    }

    /// The latest finished jobs of a lane.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn finished(
        &self,
        event: EventId,
        which: Finished,
    ) -> Result<Vec<FinishedJob>, OperationsError> {
        Ok(self.queue.finished_jobs(event, which).await.map_err(Fault::from)?)
    }

    /// Forgets jobs that finished in one of these ways longer ago than this, so many at most of all ways together; outcomes
    /// stay. Returns how many.
    ///
    /// # Errors
    /// No such event, or a store is away.
    pub async fn clean(
        &self,
        only: Option<EventId>,
        (which, older_than, limit): (&[Finished], Duration, usize),
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<u64, OperationsError> {
        let events = self.events(only).await?;
        let removed = self.clean_lanes(&events, which, (older_than, limit)).await;
        self.audit_end(by, ip, "queue.clean", &scope(only), removed.is_ok()).await?;
        removed
    }

    /// One after the other, as each call takes what the limit has left.
    async fn clean_lanes(
        &self,
        events: &[EventId],
        which: &[Finished],
        (older_than, limit): (Duration, usize),
    ) -> Result<u64, OperationsError> {
        let mut removed = 0;
        for which in which {
            for event in events {
                let left = limit.saturating_sub(usize::try_from(removed).unwrap_or(usize::MAX));
                if left == 0 {
                    return Ok(removed);
                }
                removed += self.queue.clean(*event, *which, older_than, left).await.map_err(Fault::from)?;
            }
        }
        Ok(removed)
    }

    /// Ends up to `limit` jobs of a lane that wait or stand by, those who came first before the others, as `removed`:
    /// each has its outcome and is told. What a worker decides meanwhile stays as it was decided.
    ///
    /// # Errors
    /// No such event, or a store is away; doing it again goes on.
    pub async fn drain(
        &self,
        event: EventId,
        limit: usize,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<Drained, OperationsError> {
        self.known(event).await?;
        let drained = self.drain_jobs(event, limit).await;
        self.audit_end(by, ip, "queue.drain", &scope(Some(event)), drained.is_ok()).await?;
        let removed = drained?;
        let state = self.queue.lane_state(event).await.map_err(Fault::from)?;
        Ok(Drained { removed, left: state.waiting + state.standby })
    }

    async fn drain_jobs(&self, event: EventId, limit: usize) -> Result<u64, OperationsError> {
        let mut removed = 0;
        for is_standby in [false, true] {
            let mut after = 0;
            // What has its outcome already, or cannot be read, is passed over, so that those behind it are reached.
            for _ in 0..PAGES {
                let left = limit.saturating_sub(usize::try_from(removed).unwrap_or(usize::MAX));
                if left == 0 {
                    return Ok(removed);
                }
                let page = self.queue.waiting_after(event, after, left, is_standby).await;
                let page = page.map_err(Fault::from)?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                removed += self.remove_jobs(event, readable(page)).await?;
            }
        }
        Ok(removed)
    }

    /// Drains a lane like [`Self::drain`], and once nobody is in it, forgets it with all that is kept of it in Redis.
    ///
    /// # Errors
    /// No such event, or a store is away; doing it again goes on.
    pub async fn obliterate(
        &self,
        event: EventId,
        limit: usize,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<(Drained, bool), OperationsError> {
        let drained = self.drain(event, limit, by, ip).await?;
        let is_gone = drained.left == 0 && self.queue.obliterate(event).await.map_err(Fault::from)?;
        if is_gone {
            self.audit(by, ip, "queue.obliterate", &scope(Some(event))).await?;
        }
        Ok((drained, is_gone))
    }

    /// What happened in the partition of an event, after an entry.
    ///
    /// # Errors
    /// No such event, or a store is away.
    pub async fn feed(
        &self,
        event: EventId,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<FeedPage, OperationsError> {
        self.known(event).await?;
        Ok(self.queue.feed_page(Partition::of(event), after, at_most).await.map_err(Fault::from)?)
    }

    /// What went through one lane, or all, in the last so many minutes.
    ///
    /// # Errors
    /// No such event, or a store is away.
    pub async fn history(&self, only: Option<EventId>, minutes: u64) -> Result<Vec<Minute>, OperationsError> {
        let mut all = BTreeMap::new();
        let events = self.events(only).await?;
        let asked = stream::iter(events).map(|event| self.queue.history(event, minutes));
        let mut asked = pin!(asked.buffer_unordered(AT_ONCE));
        while let Some(lane) = asked.next().await {
            add_up(&mut all, lane.map_err(Fault::from)?);
        }
        Ok(all.into_values().collect())
    }

    /// Ends one job that waits or stands by, as `removed`.
    ///
    /// # Errors
    /// No such event, no such job in it (any more), or a store is away.
    pub async fn remove(
        &self,
        event: EventId,
        number: u64,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<(), OperationsError> {
        self.known(event).await?;
        let before = number.checked_sub(1).ok_or(OperationsError::NoSuchJob)?;
        let mut jobs = self.page(event, before, 1, false).await?;
        jobs.extend(self.page(event, before, 1, true).await?);
        jobs.retain(|(at, _)| *at == number);
        let removed = self.remove_jobs(event, jobs).await;
        if matches!(removed, Ok(0)) {
            return Err(OperationsError::NoSuchJob);
        }
        self.audit_end(by, ip, "queue.remove", &job_of(event, number), removed.is_ok()).await?;
        removed.map(|_| ())
    }

    /// Tries failed jobs that are kept for inspection once more, one or all of them: each as a new job at the end of the
    /// line. Those who left of their own will are left alone.
    ///
    /// # Errors
    /// No such event, no such failed job, or a store is away; doing it again is safe.
    pub async fn retry(
        &self,
        event: EventId,
        only: Option<u64>,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<Vec<Retried>, OperationsError> {
        self.known(event).await?;
        let mut failed = self.finished(event, Finished::Failed).await?;
        failed.retain(|job| {
            only.is_none_or(|number| job.number == number)
                && job.code.as_deref() != Some(Refusal::Left.code())
        });
        // Those who came first take their new places first.
        failed.sort_by_key(|job| job.number);
        let mut retried = Vec::with_capacity(failed.len());
        for job in failed {
            let Some(envelope) = job.request.as_ref().and_then(Request::read) else { continue };
            let booked = self.desk.retry(event, job.number, envelope).await;
            if let Err(BookError::Fault(fault)) = booked {
                return Err(fault.into());
            }
            if booked.is_ok() {
                self.queue.forget_failed(event, job.number).await.map_err(Fault::from)?;
                self.audit(by, ip, "queue.retry", &job_of(event, job.number)).await?;
            }
            retried.push(Retried { retry_of: job.number, booked });
        }
        if only.is_some() && retried.is_empty() {
            return Err(OperationsError::NoSuchJob);
        }
        Ok(retried)
    }

    pub(super) async fn known(&self, event: EventId) -> Result<(), OperationsError> {
        self.catalogue.event(event).await?.map(|_| ()).ok_or(OperationsError::NotFound)
    }

    async fn page(
        &self,
        event: EventId,
        after: u64,
        at_most: usize,
        is_standby: bool,
    ) -> Result<Vec<(u64, Envelope)>, OperationsError> {
        let page = self.queue.waiting_after(event, after, at_most, is_standby).await.map_err(Fault::from)?;
        Ok(readable(page))
    }

    /// Writes the outcome of each first; how many end as `removed`, whoever takes them out of the lane: a worker that has
    /// some of them at hand may be sooner. Those that had another one, which nobody has told yet, leave with it.
    async fn remove_jobs(&self, event: EventId, jobs: Vec<(u64, Envelope)>) -> Result<u64, OperationsError> {
        let asked: Vec<(u64, &Envelope)> = jobs.iter().map(|(number, job)| (*number, job)).collect();
        let standing = self.store.end_jobs(event, &asked, Refusal::Removed).await?;
        let removed = Outcome::Failed(Refusal::Removed);
        let (ended, decided): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .filter_map(|(number, job)| Some((number, job, standing.get(&number)?.clone())))
            .partition(|(_, _, outcome)| *outcome == removed);
        // A worker that is at it tells of those that it has.
        if !decided.is_empty() && self.queue.lane_state(event).await.map_err(Fault::from)?.active == 0 {
            self.queue.leave(event, &decided).await.map_err(Fault::from)?;
        }
        if !ended.is_empty() {
            self.queue.leave(event, &ended).await.map_err(Fault::from)?;
        }
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }

    /// Writes down what may have been done in part: those who had their outcome before a store went away keep it.
    pub(super) async fn audit_end(
        &self,
        by: UserId,
        ip: Option<IpAddr>,
        action: &str,
        object: &str,
        is_done: bool,
    ) -> Result<(), StoreError> {
        let result = if is_done { "done" } else { "done in part at most: a store was away" };
        self.store.insert_audit(ip, Some(by), action, object, result).await
    }

    pub(super) async fn audit(
        &self,
        by: UserId,
        ip: Option<IpAddr>,
        action: &str,
        object: &str,
    ) -> Result<(), StoreError> {
        self.audit_end(by, ip, action, object, true).await
    }
}

/// Nobody waits, stands by or is being decided there.
fn is_empty(state: &LaneState) -> bool {
    state.waiting + state.active + state.standby == 0
}

/// One whose bytes make no sense is left to the worker, which fails it.
fn readable(page: Vec<(u64, Option<Envelope>)>) -> Vec<(u64, Envelope)> {
    page.into_iter().filter_map(|(number, job)| Some((number, job?))).collect()
}

/// One lane, or the whole queue, as the audit log names it.
fn scope(event: Option<EventId>) -> String {
    event.map_or_else(|| "queue".to_owned(), |event| format!("event {event}"))
}

fn job_of(event: EventId, number: u64) -> String {
    format!("job {number} of event {event}")
}
