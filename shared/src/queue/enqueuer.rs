//! One script call a lane for all who come within the same two milliseconds or three.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::enqueue::{Added, NewJob};
use super::{PARTITIONS, Partition, Queue, QueueError};
use crate::domain::EventId;

/// Jobs in one call at most.
const BATCH: usize = 500;
/// Calls under way at once, when no more lanes than that are booked.
const CALLS: usize = 3;
/// From one round of calls to the next at least, unless many wait: whoever comes after a quiet moment does not wait, and
/// in a rush each call carries more, which costs Redis and this process less.
const BETWEEN: Duration = Duration::from_millis(2);
/// So many do not wait any longer.
const MANY: usize = 64;
/// Requests that wait for a call at most; beyond it a request is refused at once.
const WAITING: usize = 20_000;

/// Adds jobs through one task: what arrives while a call is under way goes with the next one, so that a call
/// carries one job when it is quiet and hundreds in a rush.
#[derive(Clone)]
pub struct Enqueuer {
    requests: mpsc::Sender<Request>,
    many: Arc<Notify>,
    seen_seq: Arc<[AtomicU64]>,
}

struct Request {
    event: EventId,
    job: NewJob,
    answer: oneshot::Sender<Result<Added, QueueError>>,
}

impl Enqueuer {
    /// Starts the task; it ends when the last clone is dropped.
    pub fn start(queue: Queue) -> Self {
        let (requests, received) = mpsc::channel(WAITING);
        let seen_seq: Arc<[AtomicU64]> = (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect();
        let many = Arc::new(Notify::new());
        tokio::spawn(run(queue, received, many.clone(), seen_seq.clone()));
        Self { requests, many, seen_seq }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// Redis is away or full, or too many requests wait already.
    pub async fn add(&self, event: EventId, job: NewJob) -> Result<Added, QueueError> {
        let (answer, answered) = oneshot::channel();
        self.requests.try_send(Request { event, job, answer }).map_err(|_| QueueError::Full)?;
        if self.requests.max_capacity() - self.requests.capacity() == MANY {
            self.many.notify_one();
        }
        answered.await.map_err(|_| QueueError::Closed)?
    }

    /// The highest feed sequence that an answer has told for a partition: the feed cannot rightly be below it.
    pub fn seen_seq(&self, partition: Partition) -> u64 {
        self.seen_seq.get(partition.index()).map_or(0, |seq| seq.load(Ordering::Relaxed))
    }

    /// Starts counting anew, after an epoch began.
    pub fn forget_seq(&self, partition: Partition, seq: u64) {
        if let Some(seen) = self.seen_seq.get(partition.index()) {
            seen.store(seq, Ordering::Relaxed);
        }
    }
}

async fn run(
    queue: Queue,
    mut received: mpsc::Receiver<Request>,
    many: Arc<Notify>,
    seen_seq: Arc<[AtomicU64]>,
) {
    let mut requests = Vec::with_capacity(BATCH);
    let mut calls = FuturesUnordered::new();
    let mut pause = pin!(sleep(Duration::ZERO));
    // A timer is late by up to a millisecond, even one that is due at once.
    let mut is_resting = false;
    loop {
        tokio::select! {
            biased;
            Some(()) = calls.next() => {}
            () = &mut pause, if is_resting => is_resting = false,
            () = many.notified(), if is_resting => is_resting = false,
            // While one call is at Redis the next is put together; they go out over one connection, in order.
            count = received.recv_many(&mut requests, BATCH), if calls.len() < CALLS && !is_resting => {
                if count == 0 {
                    break;
                }
                pause.as_mut().reset(Instant::now() + BETWEEN);
                is_resting = true;
                let mut lanes: HashMap<EventId, Vec<Request>> = HashMap::new();
                for request in requests.drain(..) {
                    lanes.entry(request.event).or_default().push(request);
                }
                for (event, requests) in lanes {
                    calls.push(add(&queue, event, requests, &seen_seq));
                }
            }
        }
    }
    while calls.next().await.is_some() {}
}

async fn add(queue: &Queue, event: EventId, requests: Vec<Request>, seen_seq: &[AtomicU64]) {
    metrics::histogram!("usher_enqueue_batch_jobs").record(u32::try_from(requests.len()).unwrap_or(u32::MAX));
    let (jobs, answers): (Vec<_>, Vec<_>) =
        requests.into_iter().map(|request| (request.job, request.answer)).unzip();
    match call(queue, event, &jobs, seen_seq).await {
        Ok(added) => {
            for (answer, added) in answers.into_iter().zip(added) {
                let _ = answer.send(Ok(added));
            }
        }
        Err(error) => {
            tracing::warn!(
                event.id = event.0,
                error = crate::telemetry::chain(&error),
                "{} enqueues failed",
                answers.len()
            );
            let is_full = matches!(error, QueueError::Full);
            for answer in answers {
                let error = if is_full { QueueError::Full } else { away() };
                let _ = answer.send(Err(error));
            }
        }
    }
}

fn away() -> QueueError {
    QueueError::Redis(redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected)))
}

async fn call(
    queue: &Queue,
    event: EventId,
    jobs: &[NewJob],
    seen_seq: &[AtomicU64],
) -> Result<Vec<Added>, QueueError> {
    let partition = Partition::of(event);
    // A partition without an epoch is new, or empty after a loss; one beginning is enough for either.
    for _ in 0..3 {
        if let Some(batch) = queue.enqueue(event, jobs).await? {
            if let Some(seen) = seen_seq.get(partition.index()) {
                seen.fetch_max(batch.seq, Ordering::Relaxed);
            }
            return Ok(batch.jobs);
        }
        queue.begin_epoch(partition, "", 0).await?;
    }
    Err(QueueError::Reply("the partition does not keep its epoch"))
}
