//! From PostgreSQL, where jobs of named queues are written, to Redis, where they get their order.

use super::{Fault, copy_controls};
use crate::queue::Queue;
use crate::queue::jobs::{JobAdded, JobToAdd, lane, partition};
use crate::store::Store;

/// Jobs in one call.
const JOBS: i64 = 500;
/// Calls in one run, for each queue.
const CALLS: usize = 100;

/// Queues what was written and is not in Redis, all queues; returns how many jobs.
///
/// A job that Redis lost is queued anew, as the epoch is another one then; one that Redis has is not added twice, as its
/// id is its idempotency key.
///
/// # Errors
/// A store is away.
pub async fn queue_jobs(store: &Store, queue: &Queue) -> Result<usize, Fault> {
    let mut queued = 0;
    for name in store.queues_at_work().await? {
        let named = queue.named(&name);
        for _ in 0..CALLS {
            let now = queue_some(store, &named).await?;
            queued += now;
            if now == 0 {
                break;
            }
        }
    }
    Ok(queued)
}

async fn queue_some(store: &Store, named: &Queue) -> Result<usize, Fault> {
    let mut epoch = named.partition_state(partition()).await?.epoch;
    if epoch.is_empty() {
        // Everything comes back from PostgreSQL, so there is nothing to wait for.
        epoch = named.begin_epoch(partition(), "", 0).await?;
        copy_controls(store, named, partition()).await?;
    }
    let jobs = store.jobs_to_queue(named.name(), &epoch, JOBS).await?;
    let mut queued = Vec::new();
    let mut lanes: Vec<u16> = jobs.iter().map(|job| job.lane).collect();
    lanes.sort_unstable();
    lanes.dedup();
    for nth in lanes {
        let of_lane: Vec<JobToAdd> = jobs
            .iter()
            .filter(|job| job.lane == nth)
            .map(|job| JobToAdd {
                id: job.id,
                payload: job.payload.clone().into_bytes(),
                run_at_ms: job.run_at.map(|at| at.timestamp_millis()),
            })
            .collect();
        let Some(added) = named.add_jobs(lane(nth), &of_lane).await? else { return Ok(0) };
        let of = |(job, added): (&JobToAdd, JobAdded)| (added == JobAdded::Queued).then_some(job.id);
        queued.extend(of_lane.iter().zip(added).filter_map(of));
    }
    store.note_queued(&queued, &epoch).await?;
    Ok(queued.len())
}
