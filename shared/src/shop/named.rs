//! What operators see of named queues and do to them. The jobs stand in PostgreSQL, so that much of it works while Redis
//! is away; workers pass over what was removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::named_drain::take_out;
use super::{Fault, Operations, OperationsError, copy_controls};
use crate::domain::{EventId, UserId};
use crate::queue::control::{Controls, Pause, Rate};
use crate::queue::feed::FeedPage;
use crate::queue::history::{Minute, add_up};
use crate::queue::inspect::Finished;
use crate::queue::inspect_jobs::LaneCounts;
use crate::queue::jobs::{Job, JobToAdd, lane, nth_of, partition};
use crate::queue::take_out::Ended;
use crate::queue::{BOOKINGS, Partition, Queue, QueueError};
use crate::store::{FREE_BOOKINGS, JobRecord, PromotedJob, QueueRecord, REFUNDS, RemovedJob};
use crate::tickets;

/// Queues whose jobs are owed to somebody: a paid order has its tickets, money comes back, what costs nothing is bought.
const OWED: [&str; 3] = [tickets::QUEUE, REFUNDS, FREE_BOOKINGS];

/// Jobs of one answer of which it is told how each attempt failed.
const WITH_ERRORS: usize = 100;

/// So often it is tried to remove a job that does not wait, or whose row somebody is writing.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(30);

/// Limits of a queue or a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Jobs in a window.
    pub rate: Option<Rate>,
    /// Lanes at the same time; of a whole queue only.
    pub lanes_at_once: Option<u32>,
}

/// How a named queue, or one of its lanes, is called where somebody has done something to it.
pub(super) fn scope_named(queue: &str, nth: Option<u16>) -> String {
    nth.map_or_else(|| queue.to_owned(), |nth| format!("{queue}, lane {nth}"))
}

/// Also those lanes that are paused and that nothing was in, or that were forgotten.
fn with_paused(mut lanes: Vec<LaneCounts>, own: &HashMap<EventId, Pause>) -> Vec<LaneCounts> {
    for (lane, _) in own.iter().filter(|(_, pause)| pause.paused) {
        let nth = nth_of(*lane);
        if lanes.iter().all(|counts| counts.lane != nth) {
            lanes.push(LaneCounts { lane: nth, is_paused: true, ..LaneCounts::default() });
        }
    }
    lanes.sort_unstable_by_key(|counts| counts.lane);
    lanes
}

/// A named queue as operators see it.
#[derive(Debug, Clone)]
pub struct QueueReport {
    /// What stands in PostgreSQL.
    pub record: QueueRecord,
    /// Whether it is paused, and why.
    pub pause: Pause,
    /// What is in its lanes; `None` while Redis is away.
    pub lanes: Option<Vec<LaneCounts>>,
}

/// A job of a named queue as operators see it.
#[derive(Debug, Clone)]
pub struct JobReport {
    /// What stands in PostgreSQL.
    pub record: JobRecord,
    /// How many are ahead in its lane + 1, 0 when a worker has it at hand; `None` for one that rests, is for later, is on its
    /// way to Redis or has finished, and while Redis is away.
    pub place: Option<u64>,
    /// How its attempts failed, the last one last, where Redis still keeps that; of the newest jobs only.
    pub errors: Vec<String>,
}

/// Which jobs of a named queue are meant.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// One, whatever its state.
    One(Uuid),
    /// Those in this state, so many at most, newest first.
    In(&'a str, i64),
}

/// How a job of a named queue has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedFinished {
    /// Done.
    Completed,
    /// Failed for good.
    Failed,
    /// Removed by an operator.
    Removed,
}

impl NamedFinished {
    fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Removed => "removed",
        }
    }

    /// What Redis keeps of them.
    fn kept(self) -> Option<Finished> {
        match self {
            Self::Completed => Some(Finished::Completed),
            Self::Failed => Some(Finished::Failed),
            Self::Removed => None,
        }
    }
}

/// The numbers of jobs of a lane, in their order, with what their rows know of them: what was for later has its number only
/// since a worker looked at it.
async fn numbers_of(
    named: &Queue,
    nth: u16,
    jobs: &[(Uuid, Option<u64>)],
) -> Result<Vec<Option<u64>>, QueueError> {
    let others: Vec<Uuid> = jobs.iter().filter(|(_, number)| number.is_none()).map(|(id, _)| *id).collect();
    let mut found = named.numbers(lane(nth), &others).await?.into_iter();
    Ok(jobs.iter().map(|(_, number)| number.or_else(|| found.next().flatten())).collect())
}

impl Operations {
    /// All named queues: those of which jobs are kept, and those that were paused or limited.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn named_queues(&self) -> Result<Vec<QueueReport>, OperationsError> {
        let (mut queues, mut is_redis_away) = (Vec::new(), false);
        for record in self.store.queue_records().await? {
            let Controls { queue: pause, lanes: own, .. } = self.store.controls(&record.name).await?;
            let mut lanes = None;
            if !is_redis_away {
                match self.queue.named(&record.name).lane_counts().await {
                    Ok(counts) => lanes = Some(with_paused(counts, &own)),
                    Err(error) => {
                        // The others would wait for it in vain, one after the other.
                        is_redis_away = true;
                        tracing::warn!(
                            error = crate::telemetry::chain(&error),
                            "what is in the lanes of named queues is not told while Redis is away"
                        );
                    }
                }
            }
            queues.push(QueueReport { record, pause, lanes });
        }
        Ok(queues)
    }

    /// Jobs of a named queue, each with its place and with how its attempts failed.
    ///
    /// # Errors
    /// No such queue or job, or PostgreSQL is away.
    pub async fn named_jobs(&self, queue: &str, which: Which<'_>) -> Result<Vec<JobReport>, OperationsError> {
        self.known_queue(queue).await?;
        let jobs = match which {
            Which::In(status, at_most) => self.store.job_records(queue, status, at_most).await?,
            Which::One(id) => {
                vec![self.store.job_record(queue, id).await?.ok_or(OperationsError::NoSuchJob)?]
            }
        };
        let told = async { Ok((self.places_of(queue, &jobs).await?, self.errors_of(queue, &jobs).await?)) };
        let (places, mut errors) = told.await.unwrap_or_else(|error: QueueError| {
            tracing::warn!(
                queue,
                error = crate::telemetry::chain(&error),
                "places of jobs, and how they failed before, are not told while Redis is away"
            );
            Default::default()
        });
        let report = |record: JobRecord| JobReport {
            place: places.get(&record.id).copied(),
            errors: errors.remove(&record.id).unwrap_or_default(),
            record,
        };
        Ok(jobs.into_iter().map(report).collect())
    }

    async fn places_of(&self, queue: &str, jobs: &[JobRecord]) -> Result<HashMap<Uuid, u64>, QueueError> {
        let (named, mut of_lanes) = (self.queue.named(queue), BTreeMap::<u16, Vec<&JobRecord>>::new());
        for job in jobs.iter().filter(|job| job.status == "waiting") {
            of_lanes.entry(u16::try_from(job.lane).unwrap_or(0)).or_default().push(job);
        }
        let mut places = HashMap::new();
        for (nth, jobs) in of_lanes {
            let known = |job: &&JobRecord| (job.id, job.number.and_then(|number| u64::try_from(number).ok()));
            let known: Vec<(Uuid, Option<u64>)> = jobs.iter().map(known).collect();
            let numbers = numbers_of(&named, nth, &known).await?;
            let with_number = known.iter().zip(numbers).filter_map(|((id, _), number)| Some((*id, number?)));
            let (ids, numbers): (Vec<Uuid>, Vec<u64>) = with_number.unzip();
            let found = named.places(lane(nth), &numbers).await?;
            places.extend(ids.into_iter().zip(found).filter_map(|(id, place)| Some((id, place?))));
        }
        Ok(places)
    }

    async fn errors_of(
        &self,
        queue: &str,
        jobs: &[JobRecord],
    ) -> Result<HashMap<Uuid, Vec<String>>, QueueError> {
        let (named, mut errors) = (self.queue.named(queue), HashMap::new());
        let mut of_lanes: BTreeMap<u16, Vec<(Uuid, u64)>> = BTreeMap::new();
        let mut failed_in = BTreeSet::new();
        for job in jobs.iter().filter(|job| job.attempts > 0).take(WITH_ERRORS) {
            let nth = u16::try_from(job.lane).unwrap_or(0);
            let number = job.number.and_then(|number| u64::try_from(number).ok());
            match (job.status.as_str(), number) {
                ("failed", _) => {
                    failed_in.insert(nth);
                }
                ("waiting", Some(number)) => of_lanes.entry(nth).or_default().push((job.id, number)),
                _ => {}
            }
        }
        for nth in failed_in {
            errors.extend(named.errors_of_failed(lane(nth)).await?);
        }
        for (nth, jobs) in of_lanes {
            let (ids, numbers): (Vec<Uuid>, Vec<u64>) = jobs.into_iter().unzip();
            errors.extend(ids.into_iter().zip(named.errors_so_far(lane(nth), &numbers).await?));
        }
        Ok(errors)
    }

    /// What happened in the lanes of a named queue, after an entry.
    ///
    /// # Errors
    /// No such queue, or a store is away.
    pub async fn named_feed(
        &self,
        queue: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<FeedPage, OperationsError> {
        self.known_queue(queue).await?;
        Ok(self.queue.named(queue).feed_page(partition(), after, at_most).await.map_err(Fault::from)?)
    }

    /// What went through a named queue, one of its lanes or all, in the last so many minutes.
    ///
    /// # Errors
    /// No such queue, or a store is away.
    pub async fn named_history(
        &self,
        (queue, nth): (&str, Option<u16>),
        minutes: u64,
    ) -> Result<Vec<Minute>, OperationsError> {
        self.known_queue(queue).await?;
        let (named, mut all) = (self.queue.named(queue), BTreeMap::new());
        let mut lanes = named.lanes(partition()).await.map_err(Fault::from)?;
        lanes.retain(|lane| nth.is_none_or(|nth| nth_of(*lane) == nth));
        for lane in lanes {
            add_up(&mut all, named.history(lane, minutes).await.map_err(Fault::from)?);
        }
        Ok(all.into_values().collect())
    }

    /// Tries failed jobs once more, one or so many, each as a new job; returns the old and the new ids.
    ///
    /// # Errors
    /// No such queue or failed job, or PostgreSQL is away.
    pub async fn retry_named(
        &self,
        queue: &str,
        only: Option<Uuid>,
        at_most: i64,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<Vec<(Uuid, Uuid)>, OperationsError> {
        self.known_queue(queue).await?;
        let retried = self.store.retry_jobs(queue, only, at_most).await?;
        if only.is_some() && retried.is_empty() {
            return Err(OperationsError::NoSuchJob);
        }
        for (old, _) in &retried {
            self.audit(by, ip, "queue.retry", &format!("job {old} of {queue}")).await?;
        }
        Ok(retried)
    }

    /// Lets a job run now that rests after a failure, which keeps its place, or is for later, which gets it now.
    ///
    /// # Errors
    /// No such queue or unfinished job, it is not delayed, or a store is away; doing it again goes on.
    pub async fn promote_named(
        &self,
        queue: &str,
        id: Uuid,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<(), OperationsError> {
        self.known_queue(queue).await?;
        let job = self.store.promote_job(queue, id).await?.ok_or(OperationsError::NoSuchJob)?;
        let promoted = self.promote_queued(queue, id, &job).await;
        if matches!(promoted, Ok(false)) && !job.was_later {
            return Err(OperationsError::NotDelayed);
        }
        let object = format!("job {id} of {queue}");
        self.audit_end(by, ip, "queue.promote", &object, promoted.is_ok()).await?;
        promoted.map(|_| ()).map_err(|error| Fault::from(error).into())
    }

    /// Whether it was delayed in Redis. One for later that is not there yet is queued at once, so that nobody who has
    /// read its old time queues it for then.
    async fn promote_queued(&self, queue: &str, id: Uuid, job: &PromotedJob) -> Result<bool, QueueError> {
        let (named, lane) = (self.queue.named(queue), lane(job.lane));
        let to_add = JobToAdd::now(id, &job.payload);
        if job.was_later {
            let state = named.partition_state(partition()).await?;
            if job.queued_in.as_deref() != Some(state.epoch.as_str()) {
                named.add_jobs(lane, std::slice::from_ref(&to_add)).await?;
            }
        }
        let numbers = numbers_of(&named, job.lane, &[(id, job.number)]).await?;
        named.promote(lane, &to_add, numbers.first().copied().flatten()).await
    }

    /// Removes jobs that are not finished, one or so many, oldest first; returns how many. What a worker has at hand goes on.
    ///
    /// # Errors
    /// No such queue or waiting job, or one that is owed to somebody, or a store is away; doing it again goes on.
    pub async fn remove_named(
        &self,
        queue: &str,
        only: Option<Uuid>,
        at_most: usize,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<u64, OperationsError> {
        self.may_remove(queue).await?;
        let removed = match only {
            Some(id) => self.remove_one(queue, id).await,
            None => {
                self.end_waiting(&self.queue.named(queue), (None, None), at_most).await.map(|all| all.ended)
            }
        };
        if let Ok(removed) = &removed
            && let Err(error) = self.take_out_removed(queue, removed).await
        {
            tracing::warn!(
                queue,
                error = crate::telemetry::chain(&error),
                "what was removed stays in its lane until a worker passes over it"
            );
        }
        if only.is_some() && removed.as_ref().is_ok_and(Vec::is_empty) {
            return Err(OperationsError::NoSuchJob);
        }
        let object = only.map_or_else(|| queue.to_owned(), |id| format!("job {id} of {queue}"));
        self.audit_end(by, ip, "queue.remove", &object, removed.is_ok()).await?;
        Ok(u64::try_from(removed?.len()).unwrap_or(u64::MAX))
    }

    /// Ends one job as `removed`; empty when it does not wait. Somebody may be writing its row for a moment.
    async fn remove_one(&self, queue: &str, id: Uuid) -> Result<Vec<RemovedJob>, OperationsError> {
        let job = self.store.job_record(queue, id).await?.ok_or(OperationsError::NoSuchJob)?;
        let (named, nth) = (self.queue.named(queue), u16::try_from(job.lane).ok());
        for _ in 0..TRIES {
            let removed = self.end_waiting(&named, (nth, Some(id)), 1).await?.ended;
            if !removed.is_empty() {
                return Ok(removed);
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Ok(Vec::new())
    }

    /// So that nobody stands behind somebody who is gone.
    async fn take_out_removed(&self, queue: &str, removed: &[RemovedJob]) -> Result<(), QueueError> {
        let (named, mut of_lanes) = (self.queue.named(queue), BTreeMap::<u16, Vec<&RemovedJob>>::new());
        for job in removed {
            of_lanes.entry(job.lane).or_default().push(job);
        }
        for (nth, jobs) in of_lanes {
            let known: Vec<(Uuid, Option<u64>)> = jobs.iter().map(|job| (job.id, job.number)).collect();
            let numbers = numbers_of(&named, nth, &known).await?;
            let ended = |(job, number): (&RemovedJob, Option<u64>)| {
                let member = Job::member(&JobToAdd::now(job.id, &job.payload), number);
                Ended { member, id: job.id, status: "removed".to_owned() }
            };
            let gone: Vec<Ended> = jobs.into_iter().zip(numbers).map(ended).collect();
            take_out(&named, nth, &gone).await?;
        }
        Ok(())
    }

    /// Forgets jobs that finished in one of these ways longer ago than this, so many at most, those first that were written
    /// first, and what Redis keeps of such. A failed job goes with the one that did it once more. Returns how many jobs.
    ///
    /// # Errors
    /// No such queue, or PostgreSQL is away.
    pub async fn clean_named(
        &self,
        queue: &str,
        (which, older_than, limit): (&[NamedFinished], Duration, u32),
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<u64, OperationsError> {
        self.known_queue(queue).await?;
        let states: Vec<&str> = which.iter().map(|which| which.word()).collect();
        let removed = self.store.clean_jobs(queue, &states, older_than, limit.into()).await?;
        self.audit(by, ip, "queue.clean", queue).await?;
        let kept: Vec<Finished> = which.iter().filter_map(|which| which.kept()).collect();
        if let Err(error) = self.clean_records(queue, &kept, (older_than, limit)).await {
            tracing::warn!(
                queue,
                error = crate::telemetry::chain(&error),
                "what Redis keeps of finished jobs stays until younger ones take its place"
            );
        }
        Ok(removed)
    }

    async fn clean_records(
        &self,
        queue: &str,
        which: &[Finished],
        (older_than, limit): (Duration, u32),
    ) -> Result<(), QueueError> {
        let named = self.queue.named(queue);
        let (lanes, mut left) = (named.lanes(partition()).await?, u64::from(limit));
        for which in which {
            for lane in &lanes {
                let at_most = usize::try_from(left).unwrap_or(usize::MAX);
                left = left.saturating_sub(named.clean(*lane, *which, older_than, at_most).await?);
            }
        }
        Ok(())
    }

    /// Pauses or resumes a named queue, or one of its lanes; returns how that is called.
    ///
    /// # Errors
    /// No such queue, or a store is away; what stands in PostgreSQL reaches Redis within a second.
    pub async fn pause_named(
        &self,
        (queue, nth): (&str, Option<u16>),
        pause: &Pause,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<String, OperationsError> {
        self.known_queue(queue).await?;
        self.store.set_pause(queue, nth.map(lane), pause, by).await?;
        let action = if pause.paused { "queue.pause" } else { "queue.resume" };
        let scope = scope_named(queue, nth);
        self.audit(by, ip, action, &scope).await?;
        self.spread_named(queue).await;
        Ok(scope)
    }

    /// Sets or lifts the limits of the booking queue or one of its lanes.
    ///
    /// # Errors
    /// No such event, or a store is away; what stands in PostgreSQL reaches Redis within a second.
    pub async fn set_limits(
        &self,
        event: Option<EventId>,
        limits: Limits,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<(), OperationsError> {
        if let Some(event) = event {
            self.known(event).await?;
        }
        self.store.set_limits(BOOKINGS, event, limits.rate, limits.lanes_at_once, by).await?;
        let object = event.map_or_else(|| BOOKINGS.to_owned(), |event| format!("event {event}"));
        self.audit(by, ip, "queue.limit", &object).await?;
        self.spread(event).await
    }

    /// Sets or lifts the limits of a named queue, or one of its lanes.
    ///
    /// # Errors
    /// No such queue, or a store is away; what stands in PostgreSQL reaches Redis within a second.
    pub async fn limit_named(
        &self,
        (queue, nth): (&str, Option<u16>),
        limits: Limits,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<(), OperationsError> {
        self.known_queue(queue).await?;
        self.store.set_limits(queue, nth.map(lane), limits.rate, limits.lanes_at_once, by).await?;
        self.audit(by, ip, "queue.limit", &scope_named(queue, nth)).await?;
        self.spread_named(queue).await;
        Ok(())
    }

    pub(super) async fn known_queue(&self, queue: &str) -> Result<(), OperationsError> {
        if self.store.is_queue(queue).await? { Ok(()) } else { Err(OperationsError::NotFound) }
    }

    /// Whether jobs of this queue may be removed: there is such a queue, and its jobs are owed to nobody.
    pub(super) async fn may_remove(&self, queue: &str) -> Result<(), OperationsError> {
        if OWED.contains(&queue) { Err(OperationsError::Owed) } else { self.known_queue(queue).await }
    }

    async fn spread_named(&self, queue: &str) {
        let named = self.queue.named(queue);
        if let Err(error) = copy_controls(&self.store, &named, partition()).await {
            tracing::warn!(
                queue,
                error = crate::telemetry::chain(&error),
                "it stands in PostgreSQL and reaches Redis when that is back"
            );
        }
    }

    /// Copies what stands in PostgreSQL to the partition of an event, or all.
    pub(super) async fn spread(&self, event: Option<EventId>) -> Result<(), OperationsError> {
        let controls = self.store.controls(self.queue.name()).await?;
        let is_wanted = |one: &Partition| event.is_none_or(|event| Partition::of(event) == *one);
        for partition in Partition::all().filter(is_wanted) {
            if let Err(error) = self.queue.copy_controls(partition, &controls).await.map_err(Fault::from) {
                tracing::warn!(
                    partition = partition.index(),
                    error = crate::telemetry::chain(&error),
                    "it stands in PostgreSQL and reaches Redis when that is back"
                );
            }
        }
        Ok(())
    }
}
