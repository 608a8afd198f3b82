//! From PostgreSQL, where jobs of named queues are written, to Redis, where they get their order.

use std::collections::HashMap;

use uuid::Uuid;

use super::Fault;
use crate::queue::Queue;
use crate::queue::jobs::{JobAdded, JobToAdd, lane, partition};
use crate::store::{QueuedJob, Store, UnfinishedJob};

/// Jobs in one call.
const JOBS: i64 = 500;
/// Calls in one run, for each queue.
const CALLS: usize = 100;

/// Queues what was written and is not in Redis, all queues; returns how many jobs.
///
/// A job that Redis lost is queued anew, as the epoch is another one then; one that Redis has is not added twice: it is
/// found in its lane, and its id is its idempotency key.
///
/// # Errors
/// A store is away.
pub async fn queue_jobs(store: &Store, queue: &Queue) -> Result<usize, Fault> {
    let mut queued = 0;
    for name in store.queues_at_work().await? {
        let (named, mut full) = (queue.named(&name), Vec::new());
        let epoch = named.current_epoch(partition()).await?;
        for _ in 0..CALLS {
            let before = full.len();
            let now = queue_some(store, &named, &epoch, &mut full).await?;
            queued += now;
            // A full lane holds up no other one; the others may have more.
            if now == 0 && full.len() == before {
                break;
            }
        }
    }
    Ok(queued)
}

fn to_add(job: &UnfinishedJob) -> JobToAdd {
    let run_at_ms = job.run_at.map(|at| at.timestamp_millis());
    JobToAdd { run_at_ms, ..JobToAdd::now(job.id, &job.payload) }
}

/// Notes the numbers of those that are queued.
fn note<'a>(queued: &mut HashMap<Uuid, Option<u64>>, jobs: impl Iterator<Item = (&'a JobToAdd, JobAdded)>) {
    queued.extend(jobs.filter_map(|(job, added)| match added {
        JobAdded::Queued(number) => Some((job.id, number)),
        JobAdded::Full => None,
    }));
}

/// Lanes that take no more are added to `full`.
async fn queue_some(store: &Store, named: &Queue, epoch: &str, full: &mut Vec<i16>) -> Result<usize, Fault> {
    let jobs = store.jobs_to_queue(named.name(), epoch, full, JOBS).await?;
    let mut queued = HashMap::new();
    let mut lanes: Vec<u16> = jobs.iter().map(|job| job.lane).collect();
    lanes.sort_unstable();
    lanes.dedup();
    for nth in lanes {
        let of_lane: Vec<&UnfinishedJob> = jobs.iter().filter(|job| job.lane == nth).collect();
        // What Redis has still is not added once more, though its key may be kept no longer.
        let before = of_lane.iter().filter(|job| job.was_queued);
        let before: Vec<(JobToAdd, Option<u64>)> = before.map(|job| (to_add(job), job.number)).collect();
        let kept = named.still_in(lane(nth), &before).await?;
        note(&mut queued, before.iter().zip(kept).filter_map(|((job, _), kept)| Some((job, kept?))));
        let new = of_lane.into_iter().filter(|job| !queued.contains_key(&job.id));
        let new: Vec<JobToAdd> = new.map(to_add).collect();
        let Some(added) = named.add_jobs(lane(nth), &new).await? else { return Ok(0) };
        if added.contains(&JobAdded::Full) {
            full.push(i16::try_from(nth).unwrap_or(i16::MAX));
        }
        note(&mut queued, new.iter().zip(added));
    }
    let noted = |job: &UnfinishedJob| {
        let number = *queued.get(&job.id)?;
        Some(QueuedJob { id: job.id, number, number_before: job.number })
    };
    let queued: Vec<QueuedJob> = jobs.iter().filter_map(noted).collect();
    store.note_queued(&queued, epoch).await?;
    Ok(queued.len())
}
