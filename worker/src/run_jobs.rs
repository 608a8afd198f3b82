//! Jobs of named queues: each is run by its queue's handler, tried again after a rest when it fails, and ends in
//! PostgreSQL, where it was written.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::{BoxDynError, Data};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use shared::domain::EventId;
use shared::queue::Queue;
use shared::queue::claim::{Batch, Lease};
use shared::queue::jobs::{Job, JobEnding};
use shared::queue::lease::GiveBack;
use shared::rush::{self, Patience};
use shared::seen::{self, Part};
use shared::store::{STATEMENT, Store, in_time};
use uuid::Uuid;

use crate::lane_source::Scheduler;
use crate::progress::Progress;

/// After a fault of a store, before a lane is claimed again.
const REST: Duration = Duration::from_secs(1);

/// Does the work of one queue.
pub trait Handler: Send + Sync + 'static {
    /// Does one job. It may be delivered more than once: its id is the same then, and the effect must be one. One that
    /// takes long may say how far it has come.
    fn run<'a>(&'a self, job: &'a Job, progress: &'a Progress) -> BoxFuture<'a, Result<(), JobError>>;
}

/// Why a job was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It may go better later.
    #[error("{0}")]
    Retry(String),
    /// It never will.
    #[error("{0}")]
    Fatal(String),
}

/// How long a job rests before it is tried again. Up to a fifth is added at random, so that those who failed together
/// do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Always as long.
    Fixed(Duration),
    /// Twice as long each time.
    Exponential {
        /// The first rest.
        first: Duration,
        /// No rest is longer.
        longest: Duration,
    },
}

impl Backoff {
    /// The rest after so many failures, the first being 1.
    pub fn rest(self, failures: u32) -> Duration {
        let rest = match self {
            Self::Fixed(rest) => rest,
            Self::Exponential { first, longest } => {
                first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest)
            }
        };
        rest.mul_f64(rand::random_range(1.0..1.2))
    }
}

/// How the jobs of a queue are run.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Lanes at the same time, in this worker.
    pub lanes: usize,
    /// Jobs of one lane at the same time; they are begun in their order.
    pub at_once: usize,
    /// Times that a job is tried.
    pub attempts: u32,
    /// The rest between them.
    pub backoff: Backoff,
    /// A job that takes longer has failed.
    pub timeout: Duration,
}

/// What the job needs.
#[derive(Clone)]
pub struct RunJobs {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) scheduler: Scheduler<Job>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) policy: Policy,
}

/// What is done with a job of a batch.
enum Turn {
    /// It is run; this is so many times that it was begun.
    Attempt(u32),
    /// It is finished already, and passed over.
    Ended(JobEnding),
}

/// Runs a batch. Whatever goes wrong, jobs wait in their places or rest; so there is nothing to try again here.
///
/// # Errors
/// Never: faults are logged, and the lane goes on by itself.
pub(crate) async fn run_jobs(batch: Batch<Job>, data: Data<RunJobs>) -> Result<(), BoxDynError> {
    let started = Instant::now();
    // All jobs of a batch are begun at once, so none takes longer than this, with what comes before.
    let limit = data.policy.timeout + data.queue.config().lease() + 2 * rush::LONGEST + 2 * STATEMENT;
    let renewing = tokio::spawn(crate::renew(data.queue.clone(), batch.lease.clone(), limit));
    Patience::default().let_pass().await;
    let jobs: Vec<(Uuid, u64)> = batch.jobs.iter().map(|job| (job.id, job.number)).collect();
    let endings = match in_time(STATEMENT, data.store.begin_attempts(&jobs)).await {
        Ok(attempts) => {
            let ends = data.ends_of_others(&jobs, &attempts).await;
            data.run_all(&batch, &attempts, &ends).await
        }
        Err(error) => {
            tracing::warn!(
                queue = data.queue.name(),
                error = shared::telemetry::chain(&error),
                "jobs must wait"
            );
            Vec::new()
        }
    };
    renewing.abort();
    if endings.is_empty() {
        data.give_back(&batch.lease).await;
        return Ok(());
    }
    match data.queue.settle_jobs(&batch, &endings, started.elapsed()).await {
        Ok(Ok(waiting)) if waiting > 0 => data.scheduler.push(batch.lease.event),
        Ok(Ok(_)) => {}
        Ok(Err(lost)) => tracing::warn!(
            queue = data.queue.name(),
            error = %lost,
            "jobs were run under a lease that somebody else has by now; they are delivered once more"
        ),
        Err(error) => tracing::warn!(
            queue = data.queue.name(),
            error = shared::telemetry::chain(&error),
            "ends of jobs could not be settled; they are delivered once more"
        ),
    }
    Ok(())
}

impl RunJobs {
    /// How those have ended that have no attempt, as they are finished.
    async fn ends_of_others(
        &self,
        jobs: &[(Uuid, u64)],
        attempts: &HashMap<Uuid, u32>,
    ) -> HashMap<Uuid, JobEnding> {
        let finished = jobs.iter().map(|(id, _)| *id).filter(|id| !attempts.contains_key(id));
        let finished: Vec<Uuid> = finished.collect();
        if finished.is_empty() {
            return HashMap::new();
        }
        in_time(STATEMENT, self.store.ends_of(&finished)).await.unwrap_or_else(|error| {
            tracing::warn!(
                queue = self.queue.name(),
                error = shared::telemetry::chain(&error),
                "jobs that are finished are passed over without being counted"
            );
            HashMap::new()
        })
    }

    /// Runs those that have an attempt, and passes over the others; how each job ended.
    async fn run_all(
        &self,
        batch: &Batch<Job>,
        attempts: &HashMap<Uuid, u32>,
        ends: &HashMap<Uuid, JobEnding>,
    ) -> Vec<(u64, JobEnding)> {
        let lane = batch.lease.event;
        let mut known = HashSet::new();
        let mut turn = |job: &Job| match attempts.get(&job.id) {
            // It stands there twice.
            Some(_) if !known.insert(job.id) => Turn::Ended(JobEnding::Removed),
            Some(attempt) => Turn::Attempt(*attempt),
            // What is not kept any more counts nowhere either.
            None => Turn::Ended(ends.get(&job.id).cloned().unwrap_or(JobEnding::Removed)),
        };
        let jobs = batch.jobs.iter();
        let running: Vec<_> = jobs.map(|job| self.take_turn(lane, job, turn(job)).boxed()).collect();
        stream::iter(running).buffered(self.policy.at_once).collect().await
    }

    async fn take_turn(&self, lane: EventId, job: &Job, turn: Turn) -> (u64, JobEnding) {
        if job.id.is_nil() {
            return (job.number, JobEnding::Failed("its bytes make no sense".to_owned()));
        }
        let attempt = match turn {
            Turn::Attempt(attempt) => attempt,
            Turn::Ended(ending) => return (job.number, ending),
        };
        let rest = self.policy.backoff.rest(attempt);
        let ending = match self.queue.was_done(lane, job).await {
            Ok(true) => JobEnding::Completed,
            // It may have been done by its last attempt, and is not to fail then.
            Err(error) if attempt > self.policy.attempts => {
                let error = shared::telemetry::chain(&error);
                return (job.number, JobEnding::Later(rest, error));
            }
            Ok(false) | Err(_) => self.run_one(job, attempt).await,
        };
        let (status, error) = match &ending {
            JobEnding::Completed => (Some("completed"), None),
            JobEnding::Failed(error) => (Some("failed"), Some(error.as_str())),
            JobEnding::Later(_, error) => (None, Some(error.as_str())),
            JobEnding::Removed => (Some("removed"), None),
        };
        if let Err(error) = in_time(STATEMENT, self.store.note_attempt(job.id, status, error)).await {
            tracing::warn!(
                queue = self.queue.name(),
                job.id = %job.id,
                error = shared::telemetry::chain(&error),
                "the end of a job could not be written; it is delivered once more"
            );
            return (job.number, unwritten(&ending, rest));
        }
        (job.number, ending)
    }

    async fn run_one(&self, job: &Job, attempt: u32) -> JobEnding {
        if attempt > self.policy.attempts {
            return self.failed(job, format!("{} attempts ended with their worker", self.policy.attempts));
        }
        let progress = Progress::new(self.store.clone(), job.id, attempt);
        let running = AssertUnwindSafe(self.handler.run(job, &progress)).catch_unwind();
        let error = match tokio::time::timeout(self.policy.timeout, running).await {
            Ok(Ok(Ok(()))) => return JobEnding::Completed,
            Ok(Ok(Err(JobError::Fatal(error)))) => return self.failed(job, error),
            Ok(Ok(Err(JobError::Retry(error)))) => error,
            Ok(Err(_)) => "its handler panicked".to_owned(),
            Err(_) => format!("it took longer than {:?}", self.policy.timeout),
        };
        if attempt >= self.policy.attempts {
            return self.failed(job, error);
        }
        let rest = self.policy.backoff.rest(attempt);
        tracing::info!(queue = self.queue.name(), job.id = %job.id, attempt, error, "job rests and is tried again");
        JobEnding::Later(rest, error)
    }

    fn failed(&self, job: &Job, error: String) -> JobEnding {
        metrics::counter!("usher_jobs_failed_total", "queue" => self.queue.name().to_owned()).increment(1);
        seen::error(Part::Worker, "job_failed", None);
        tracing::error!(queue = self.queue.name(), job.id = %job.id, error, "job has failed for good");
        JobEnding::Failed(error)
    }

    async fn give_back(&self, lease: &Lease) {
        let rest = GiveBack { delay: REST, ..GiveBack::default() };
        if let Err(error) = self.queue.give_back(lease, &rest).await {
            tracing::warn!(
                queue = self.queue.name(),
                error = shared::telemetry::chain(&error),
                "lane could not be given back; its lease will run out"
            );
        }
    }
}

/// What stands in Redis of an end that could not be written: what was done is not done again.
fn unwritten(ending: &JobEnding, rest: Duration) -> JobEnding {
    match ending {
        JobEnding::Completed => JobEnding::unwritten(rest),
        JobEnding::Failed(error) | JobEnding::Later(_, error) => JobEnding::Later(rest, error.clone()),
        JobEnding::Removed => JobEnding::Removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest_and_differ_by_a_fifth() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_mins(1));
        let backoff = Backoff::Exponential { first, longest };
        for (failures, least) in [(1, 1), (2, 2), (3, 4), (7, 60), (40, 60)] {
            let least = Duration::from_secs(least);
            let rest = backoff.rest(failures);
            assert!((least..least.mul_f64(1.2)).contains(&rest), "{failures}: {rest:?}");
        }
        assert!(Backoff::Fixed(first).rest(9) < first.mul_f64(1.2));
    }
}
