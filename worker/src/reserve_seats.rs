//! The job that decides a batch under its lease.

use std::time::{Duration, Instant};

use apalis::prelude::{BoxDynError, Data};
use shared::queue::Queue;
use shared::queue::claim::Batch;
use shared::seen::{self, Part};
use shared::shop::{ReserveError, Reserver};

use crate::lane_source::Scheduler;

/// What the job needs.
#[derive(Clone)]
pub struct ReserveSeats {
    /// Decides.
    pub reserver: Reserver,
    /// Keeps the lease.
    pub queue: Queue,
    /// Is told that the lane may have more.
    pub scheduler: Scheduler,
    /// After how long a batch is given up.
    pub limit: Duration,
}

/// Decides a batch. Whatever goes wrong, the jobs wait in their places; so there is nothing to try again here.
///
/// # Errors
/// Never: faults are logged, and the lane goes on by itself.
pub async fn reserve_seats(batch: Batch, job: Data<ReserveSeats>) -> Result<(), BoxDynError> {
    let (event, jobs) = (batch.lease.event, batch.jobs.len());
    if batch.was_stalled {
        metrics::counter!("usher_leases_run_out_total").increment(1);
        tracing::warn!(
            event.id = event.0,
            jobs,
            "worker before this one lost its lease; going on with its jobs"
        );
    }
    let started = Instant::now();
    let lease = batch.lease.clone();
    let alone = match batch.jobs.as_slice() {
        [job] => Some(job.number),
        _ => None,
    };
    let renewing = tokio::spawn(crate::renew(job.queue.clone(), lease.clone(), job.limit));
    let mut size = job.scheduler.batch_size(event);
    // Far from its limit, a run goes on where nobody else waits.
    let is_to_yield = || job.scheduler.has_more() || started.elapsed() > job.limit / 4;
    let reserving = job.reserver.reserve(batch, &mut size, &is_to_yield);
    let result = tokio::time::timeout(job.limit, reserving).await;
    renewing.abort();
    if result.is_err() {
        size.cut(jobs);
    }
    job.scheduler.note_size(event, size);
    let took = started.elapsed();
    match result {
        Ok(Ok(reserved)) => {
            tracing::debug!(
                event.id = event.0,
                jobs,
                ended = reserved.ended,
                waiting = reserved.waiting,
                duration_ms = took.as_secs_f64() * 1_000.0,
                batches = reserved.batches,
                "batches decided"
            );
            if reserved.waiting > 0 {
                job.scheduler.push(event);
            }
        }
        Ok(Err(ReserveError::Stale(fence))) => {
            tracing::info!(event.id = event.0, fence, "lease was behind PostgreSQL's fence; claiming anew");
        }
        Ok(Err(error)) => {
            seen::error(Part::Worker, "batch_not_decided", None);
            tracing::warn!(
                event.id = event.0,
                jobs,
                error = shared::telemetry::chain(&error),
                "batch was not decided; its jobs wait in their places"
            );
        }
        Err(_) => {
            seen::error(Part::Worker, "batch_too_long", None);
            tracing::error!(
                event.id = event.0,
                jobs,
                duration_ms = took.as_secs_f64() * 1_000.0,
                "batch took too long and was given up; fewer jobs are decided at once"
            );
            if let Err(error) = job.reserver.give_up(&lease, alone).await {
                tracing::warn!(
                    event.id = event.0,
                    error = shared::telemetry::chain(&error),
                    "lane could not be given back; its lease will run out"
                );
            }
        }
    }
    Ok(())
}
