//! Jobs of named queues: the same lanes, scripts and leases as the bookings have, with a payload of any kind.
//!
//! A lane begins its jobs in order. One that fails rests, without holding up the others, and is tried again in its own
//! place. All lanes of a named queue lie in one partition, so that its limits are exact.

use std::time::Duration;

use chrono::Utc;
use uuid::Uuid;

use super::claim::{Batch, Claimed, Member};
use super::enqueue::Added;
use super::lease::LeaseLost;
use super::script::{Call, script};
use super::settle::SettleTail;
use super::{PARTITIONS, Partition, Queue, QueueError};
use crate::domain::EventId;

/// What is kept of how one attempt failed, in bytes.
const MAX_ERROR: usize = 500;

/// What is kept of an attempt that did the job, but whose end could not be written.
const DONE: &str = "it was done, but its end could not be written";

/// Lanes of a named queue; they are numbered from 0.
pub const LANES: u16 = 64;

/// A lane of a named queue, by its number.
pub fn lane(nth: u16) -> EventId {
    EventId(i64::from(PARTITIONS) * (i64::from(nth) + 1))
}

/// The number of a lane of a named queue.
pub fn nth_of(lane: EventId) -> u16 {
    u16::try_from(lane.0 / i64::from(PARTITIONS) - 1).unwrap_or(0)
}

/// The partition in which named queues lie.
pub fn partition() -> Partition {
    Partition::of(lane(0))
}

/// A job to add.
#[derive(Debug, Clone)]
pub struct JobToAdd {
    /// Its id; adding it twice gives one job.
    pub id: Uuid,
    /// What is to be done, as JSON.
    pub payload: Vec<u8>,
    /// Not before, in ms since 1970 on Redis' clock.
    pub run_at_ms: Option<i64>,
}

impl JobToAdd {
    /// One for now.
    pub fn now(id: Uuid, payload: &str) -> Self {
        Self { id, payload: payload.as_bytes().to_vec(), run_at_ms: None }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAdded {
    /// It waits, or is scheduled, or was there already; under this number, which what is scheduled gets when it is due.
    Queued(Option<u64>),
    /// The lane is full.
    Full,
}

/// A job as a worker gets it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its number in the lane.
    pub number: u64,
    /// As it stands there.
    pub member: Member,
    /// Its id; nil when its bytes make no sense.
    pub id: Uuid,
    /// What is to be done, as JSON.
    pub payload: Vec<u8>,
    /// How often it has failed so far.
    pub attempts: u32,
}

impl Claimed for Job {
    fn read(member: Member, attempts: u32) -> Self {
        let (number, bytes) = member.split().unwrap_or_default();
        let id = id_in(bytes);
        let payload = bytes.get(16..).unwrap_or_default().to_vec();
        Self { number, member, id, payload, attempts }
    }
}

impl Job {
    pub(super) fn bytes(job: &JobToAdd) -> Vec<u8> {
        [job.id.as_bytes(), job.payload.as_slice()].concat()
    }

    /// How a job stands in its lane, with its number or, when it is for later, none yet.
    pub fn member(job: &JobToAdd, number: Option<u64>) -> Member {
        Member::of(number, &Self::bytes(job))
    }

    /// The id of the job that stands so in a lane; nil when its bytes make no sense.
    pub(super) fn id_of(member: &Member) -> Uuid {
        id_in(member.payload())
    }
}

/// The id with which the bytes of a job begin.
fn id_in(bytes: &[u8]) -> Uuid {
    bytes.get(..16).and_then(|id| Uuid::from_slice(id).ok()).unwrap_or_default()
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnding {
    /// Well.
    Completed,
    /// For good: further attempts would not help, or there were enough of them.
    Failed(String),
    /// It is tried again after this time.
    Later(Duration, String),
    /// Not at all: it was removed before it was run. It leaves the lane and counts nowhere.
    Removed,
}

impl JobEnding {
    /// As scripts and the feed call it.
    fn word(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
            Self::Later(..) => "later",
            Self::Removed => "removed",
        }
    }

    /// The job was done, but PostgreSQL could not be told: it comes back after this time, and [`Queue::was_done`] knows
    /// it then.
    pub fn unwritten(rest: Duration) -> Self {
        Self::Later(rest, DONE.to_owned())
    }
}

/// What the feed says of a settled batch: number, id, and how the attempt ended.
#[derive(serde::Serialize)]
struct Told {
    #[serde(rename = "j")]
    jobs: Vec<(u64, Uuid, &'static str)>,
}

/// A line for inspection; a failed job's earlier errors follow it, a line each.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    number: u64,
    id: Uuid,
    attempts: u32,
    /// When, in ms since 1970.
    #[serde(rename = "at_ms")]
    at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Queue {
    /// Adds jobs to a lane in this order; `None` when the partition has no epoch yet.
    ///
    /// # Errors
    /// Redis is away or full. Adding them again does no harm.
    pub async fn add_jobs(
        &self,
        lane: EventId,
        jobs: &[JobToAdd],
    ) -> Result<Option<Vec<JobAdded>>, QueueError> {
        let (now, later): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.run_at_ms.is_none());
        let (Some(queued), Some(scheduled)) =
            (self.add_now(lane, &now).await?, self.schedule(lane, &later).await?)
        else {
            return Ok(None);
        };
        let (mut queued, mut scheduled) = (queued.into_iter(), scheduled.into_iter());
        let of = |job: &JobToAdd| if job.run_at_ms.is_none() { queued.next() } else { scheduled.next() };
        Ok(jobs.iter().map(of).collect())
    }

    async fn add_now(&self, lane: EventId, jobs: &[&JobToAdd]) -> Result<Option<Vec<JobAdded>>, QueueError> {
        if jobs.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut call = Call::new(script!("enqueue"), &self.enqueue_keys(lane));
        // Nobody owns these jobs, so nobody has too many.
        call.arg(lane.0).arg(self.keys().wake()).arg(self.config().queue_max_waiting).arg(u32::MAX);
        for job in jobs {
            call.arg("").arg(job.id.as_bytes()).arg(job.id.simple().to_string()).arg(Job::bytes(job)).arg("");
        }
        let added = self.send_enqueue(&call, jobs.iter().map(|_| 0)).await?;
        let of = |added: &Added| match added {
            Added::Queued { number, .. } => JobAdded::Queued(Some(*number).filter(|number| *number > 0)),
            Added::Full | Added::TooMany | Added::Mismatch => JobAdded::Full,
        };
        Ok(added.map(|added| added.jobs.iter().map(of).collect()))
    }

    async fn schedule(&self, lane: EventId, jobs: &[&JobToAdd]) -> Result<Option<Vec<JobAdded>>, QueueError> {
        if jobs.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (keys, partition) = (self.keys(), Partition::of(lane));
        let names = [
            keys.partition(partition),
            keys.ready(partition),
            keys.lanes(partition),
            keys.meta(lane),
            keys.delayed(lane),
            keys.idem(lane),
            keys.idem_old(lane),
        ];
        let mut call = Call::new(script!("schedule"), &names);
        call.arg(lane.0).arg(self.config().queue_max_waiting);
        for job in jobs {
            call.arg(job.run_at_ms.unwrap_or(0));
            call.arg(job.id.simple().to_string()).arg(job.id.as_bytes()).arg(Job::bytes(job));
        }
        let reply = self.send(&call).await?;
        match reply.word.as_str() {
            "no_epoch" => Ok(None),
            "ok" => {
                let words: Vec<String> = reply.rest()?;
                let of = |word: String| if word == "full" { JobAdded::Full } else { JobAdded::Queued(None) };
                Ok(Some(words.into_iter().map(of).collect()))
            }
            _ => Err(reply.unknown()),
        }
    }

    /// Ends the attempts of a batch and gives its lane back; a job that is missing in `endings` waits on. Returns how
    /// many wait.
    ///
    /// # Errors
    /// Redis is away: the lease runs out, and the jobs are delivered once more.
    pub async fn settle_jobs(
        &self,
        batch: &Batch<Job>,
        endings: &[(u64, JobEnding)],
        took: Duration,
    ) -> Result<Result<u64, LeaseLost>, QueueError> {
        let (mut jobs, mut told) = (Vec::new(), Told { jobs: Vec::new() });
        let at_ms = Utc::now().timestamp_millis();
        for job in &batch.jobs {
            let Some((_, ending)) = endings.iter().find(|(number, _)| *number == job.number) else {
                continue;
            };
            let record =
                |error| Record { number: job.number, id: job.id, attempts: job.attempts, at_ms, error };
            let json = |error| serde_json::to_vec(&record(error)).unwrap_or_default();
            let (delay, record) = match ending {
                JobEnding::Completed => (String::new(), json(None)),
                JobEnding::Failed(error) => (String::new(), json(Some(bounded(error)))),
                JobEnding::Later(delay, error) => {
                    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                    (delay.to_string(), bounded(error).replace('\n', " ").into_bytes())
                }
                JobEnding::Removed => (String::new(), Vec::new()),
            };
            jobs.push((&job.member, ending.word(), delay, record));
            told.jobs.push((job.number, job.id, ending.word()));
        }
        let told = serde_json::to_string(&told).unwrap_or_default();
        let tail = SettleTail { took, is_last: true, ..SettleTail::default() };
        let mut call =
            self.settle_call(&batch.lease, &self.settle_keys(&batch.lease), &told, jobs.len(), &tail);
        for (member, word, delay, record) in jobs {
            call.arg(member).arg(word).arg(delay).arg(record);
        }
        self.send_settle(&call).await
    }

    /// Whether an attempt did the job, and only its end could not be written.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn was_done(&self, lane: EventId, job: &Job) -> Result<bool, QueueError> {
        if job.attempts == 0 {
            return Ok(false);
        }
        let errors: Option<String> = redis::cmd("HGET")
            .arg(self.keys().errors(lane))
            .arg(job.number)
            .query_async(&mut self.connection())
            .await?;
        Ok(errors.is_some_and(|errors| errors.lines().any(|line| line == DONE)))
    }
}

/// The beginning of an error that is too long to keep.
fn bounded(error: &str) -> &str {
    let mut end = error.len().min(MAX_ERROR);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    &error[..end]
}
