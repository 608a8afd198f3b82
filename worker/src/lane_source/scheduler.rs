//! Lanes that may have work, in turn, so that a giant event does not starve a small one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use shared::domain::EventId;
use shared::queue::claim::{Batch, Claim, Claimed, ClaimedJob};
use shared::queue::lease::GiveBack;
use shared::queue::{Partition, Queue, QueueError};
use shared::shop::{BatchSize, copy_controls};
use shared::store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;

/// How often all partitions are looked at; wake-ups are hints only.
const LOOK: Duration = Duration::from_secs(1);
/// After a fault, before the next try.
const PAUSE: Duration = Duration::from_millis(200);
/// A lane that rests is not claimed sooner than after this.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// Lanes of one partition taken in with one look.
const LANES: usize = 100;
/// Jobs in the first batch of a lane.
const FIRST_BATCH: usize = 256;
/// A lane that nothing was decided of for so long begins with that anew.
const FORGET_SIZE: Duration = Duration::from_mins(10);

/// Finds lanes and claims their heads; clones share the state.
pub struct Scheduler<J = ClaimedJob> {
    inner: Arc<Inner>,
    of: PhantomData<fn() -> J>,
}

impl<J> Clone for Scheduler<J> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), of: PhantomData }
    }
}

struct Inner {
    store: Store,
    queue: Queue,
    worker: String,
    config: WorkerConfig,
    lanes: Mutex<Lanes>,
    has_lanes: Notify,
    shutdown: CancellationToken,
}

#[derive(Default)]
struct Lanes {
    turn: VecDeque<EventId>,
    waiting: HashSet<EventId>,
    /// What size fits a lane, and since when.
    sizes: HashMap<EventId, (BatchSize, Instant)>,
}

impl Lanes {
    /// So that what is remembered is bounded by the lanes that are in use.
    fn forget_sizes(&mut self, now: Instant) {
        self.sizes.retain(|_, (_, noted)| now.saturating_duration_since(*noted) < FORGET_SIZE);
    }
}

impl<J: Claimed> Scheduler<J> {
    /// Starts to listen for lanes with work, until `shutdown`.
    pub fn start(
        store: Store,
        queue: Queue,
        worker: String,
        config: WorkerConfig,
        shutdown: &CancellationToken,
    ) -> Self {
        let scheduler = Self {
            inner: Arc::new(Inner {
                store,
                queue,
                worker,
                config,
                lanes: Mutex::default(),
                has_lanes: Notify::new(),
                shutdown: shutdown.clone(),
            }),
            of: PhantomData,
        };
        let (listening, looking) = (scheduler.clone(), scheduler.clone());
        tokio::spawn(async move { listening.inner.shutdown.run_until_cancelled(listening.listen()).await });
        tokio::spawn(async move { looking.inner.shutdown.run_until_cancelled(looking.look()).await });
        scheduler
    }

    /// The next batch; `None` after the shutdown.
    pub(super) async fn next(&self) -> Option<Batch<J>> {
        loop {
            let event = self.inner.shutdown.run_until_cancelled(self.next_lane()).await?;
            match self.claim(event).await {
                Ok(Some(batch)) if self.inner.shutdown.is_cancelled() => {
                    self.give_back(&batch).await;
                    return None;
                }
                Ok(Some(batch)) => return Some(batch),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(
                        event.id = event.0,
                        error = shared::telemetry::chain(&error),
                        "lane could not be claimed; trying again"
                    );
                    self.push_in(event, PAUSE);
                }
            }
        }
    }

    /// This lane may have work.
    pub fn push(&self, event: EventId) {
        let mut lanes = self.inner.lanes.lock();
        if lanes.waiting.insert(event) {
            lanes.turn.push_back(event);
            self.inner.has_lanes.notify_one();
        }
    }

    /// Whether lanes wait for their turn.
    pub fn has_more(&self) -> bool {
        !self.inner.lanes.lock().turn.is_empty()
    }

    /// How many jobs to take of a lane at once.
    pub fn batch_size(&self, event: EventId) -> BatchSize {
        let known = self.inner.lanes.lock().sizes.get(&event).copied();
        let first = || BatchSize::new(FIRST_BATCH, self.inner.config.worker_max_batch);
        known.map_or_else(first, |(size, _)| size)
    }

    /// Remembers what size fits a lane.
    pub fn note_size(&self, event: EventId, size: BatchSize) {
        self.inner.lanes.lock().sizes.insert(event, (size, Instant::now()));
    }

    async fn next_lane(&self) -> EventId {
        loop {
            // Registered before the look, so that no lane pushed in between is missed.
            let pushed = self.inner.has_lanes.notified();
            {
                let mut lanes = self.inner.lanes.lock();
                if let Some(event) = lanes.turn.pop_front() {
                    lanes.waiting.remove(&event);
                    return event;
                }
            }
            pushed.await;
        }
    }

    async fn claim(&self, event: EventId) -> Result<Option<Batch<J>>, QueueError> {
        let inner = &self.inner;
        match inner.queue.claim_as(event, &inner.worker, self.batch_size(event).get()).await? {
            Claim::Batch(batch) => return Ok(Some(batch)),
            Claim::Empty | Claim::Paused => {}
            Claim::NotBefore(until_ms) | Claim::Recovering(until_ms) => self.push_soon(event, until_ms),
            Claim::Restarted(epoch) => {
                tracing::warn!(
                    event.id = event.0,
                    "Redis was started anew; lanes stand still until lost jobs are back"
                );
                inner.queue.begin_epoch(Partition::of(event), &epoch, 0).await?;
                self.push_in(event, PAUSE);
            }
            Claim::NoControls(_) | Claim::NoEpoch => {
                self.copy_controls(event).await;
                self.push_in(event, PAUSE);
            }
        }
        Ok(None)
    }

    /// Pauses must be known before anything is claimed in a new epoch; whoever comes first copies them.
    async fn copy_controls(&self, event: EventId) {
        let copied = copy_controls(&self.inner.store, &self.inner.queue, Partition::of(event)).await;
        if let Err(error) = copied {
            tracing::warn!(
                event.id = event.0,
                error = shared::telemetry::chain(&error),
                "pauses could not be copied; the lane waits"
            );
        }
    }

    /// Leaves a batch that nobody will decide to the next worker.
    pub(super) async fn give_back(&self, batch: &Batch<J>) {
        if let Err(error) = self.inner.queue.give_back(&batch.lease, &GiveBack::default()).await {
            tracing::warn!(
                event.id = batch.lease.event.0,
                error = shared::telemetry::chain(&error),
                "batch could not be given back at shutdown; its lease will run out"
            );
        }
    }

    /// A lane that rests for a moment is looked at right after it; for longer rests the regular look is enough.
    fn push_soon(&self, event: EventId, until_ms: u64) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let rest = u128::from(until_ms).saturating_sub(now_ms);
        if let Ok(rest) = u64::try_from(rest) {
            // At least a moment, as the clocks may differ.
            let rest = Duration::from_millis(rest + 1).max(SHORTEST_REST);
            if rest < LOOK {
                self.push_in(event, rest);
            }
        }
    }

    fn push_in(&self, event: EventId, rest: Duration) {
        let scheduler = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            scheduler.push(event);
        });
    }

    async fn look(&self) {
        loop {
            for partition in Partition::all() {
                match self.inner.queue.due_lanes(partition, LANES).await {
                    Ok(due) => due.into_iter().for_each(|event| self.push(event)),
                    Err(error) => {
                        tracing::warn!(
                            partition = partition.index(),
                            error = shared::telemetry::chain(&error),
                            "lanes could not be looked at"
                        );
                        break;
                    }
                }
            }
            self.inner.lanes.lock().forget_sizes(Instant::now());
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn listen(&self) {
        let channel = self.inner.queue.keys().wake();
        loop {
            match self.inner.queue.subscribe(&channel).await {
                Ok(mut subscription) => {
                    let mut messages = subscription.on_message();
                    while let Some(message) = messages.next().await {
                        if let Ok(event) = message.get_payload::<i64>() {
                            self.push(EventId(event));
                        }
                    }
                }
                Err(error) => tracing::warn!(
                    error = shared::telemetry::chain(&error),
                    "wake-ups cannot be heard; looking every second"
                ),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_lanes_that_are_not_in_use_are_forgotten() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let size = BatchSize::new(FIRST_BATCH, FIRST_BATCH);
        lanes.sizes.insert(EventId(1), (size, now));
        lanes.sizes.insert(EventId(2), (size, now + FORGET_SIZE / 2));
        lanes.forget_sizes(now + FORGET_SIZE);
        assert_eq!(lanes.sizes.into_keys().collect::<Vec<_>>(), [EventId(2)]);
    }
}
