//! Queues that no other run uses, and what is in them.

use std::ops::Range;

use anyhow::{Context as _, Result};
use bullmq::{BulkJob, Job, Queue, QueueOptions};
use serde_json::{Value, json};

use crate::settings::{Settings, connection};

const CHUNK: usize = 500;
/// Jobs that are removed in one call.
const REMOVED: usize = 10_000;

/// What a booking carries.
pub(crate) fn payload(nth: usize) -> Value {
    json!({"event": 1, "user": nth + 1, "quantity": 1})
}

/// Opens a queue of this process.
pub(crate) async fn open(settings: &Settings, name: &str) -> Result<Queue> {
    let name = format!("peer-rust-{name}-{}", std::process::id());
    let options = QueueOptions::new().connection(connection(&settings.redis));
    Queue::with_options(&name, options).await.context("open a queue")
}

/// Leaves nothing of a queue in Redis.
pub(crate) async fn remove(queue: &Queue) -> Result<()> {
    queue.obliterate(true, REMOVED).await.context("remove a queue")
}

/// Runs `act` with a queue of its own.
pub(crate) async fn with_queue<T>(
    settings: &Settings,
    act: impl AsyncFnOnce(&Queue) -> Result<T>,
) -> Result<T> {
    let queue = open(settings, &settings.name).await?;
    let done = act(&queue).await;
    let removed = remove(&queue).await;
    let done = done?;
    removed?;
    Ok(done)
}

/// Adds one chunk of a range of jobs.
pub(crate) async fn add_chunk(
    queue: &Queue,
    chunk: usize,
    range: &Range<usize>,
    data: fn(usize) -> Value,
) -> Result<Vec<Job>> {
    let start = range.start + chunk * CHUNK;
    let jobs = (start..range.end.min(start + CHUNK)).map(|nth| BulkJob::new("booking", data(nth))).collect();
    queue.add_bulk(jobs).await.context("add jobs")
}

/// Adds jobs chunk after chunk, and returns their ids in the order of the queue.
pub(crate) async fn fill(queue: &Queue, range: Range<usize>, data: fn(usize) -> Value) -> Result<Vec<u64>> {
    let mut ids = Vec::with_capacity(range.len());
    for chunk in 0..chunks_of(range.len()) {
        for job in add_chunk(queue, chunk, &range, data).await? {
            ids.push(job.id().parse().context("an id that is no number")?);
        }
    }
    // Jobs of one call get their ids, and their places, in the order in which they reach Redis.
    ids.sort_unstable();
    Ok(ids)
}

/// How many chunks so many jobs make.
pub(crate) fn chunks_of(count: usize) -> usize {
    count.div_ceil(CHUNK)
}
