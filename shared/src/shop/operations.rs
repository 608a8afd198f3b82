//! What operators do to the queue, and what they see of it.

use std::net::IpAddr;

use super::{Catalogue, Fault};
use crate::domain::{EventId, UserId};
use crate::queue::control::Pause;
use crate::queue::inspect::{Finished, FinishedJob, LaneState};
use crate::queue::{Partition, Queue};
use crate::store::{Store, StoreError};

/// Lanes in one answer at most.
const LANES: usize = 200;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperationsError {
    /// No such event.
    #[error("there is no such event")]
    NotFound,
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
    store: Store,
    queue: Queue,
    catalogue: Catalogue,
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
    pub fn new(store: Store, queue: Queue, catalogue: Catalogue) -> Self {
        Self { store, queue, catalogue }
    }

    /// Pauses or resumes one lane or the whole queue, at once, and writes it down.
    ///
    /// # Errors
    /// No such event, or a store is away; what stands in PostgreSQL reaches Redis within a second.
    pub async fn set_pause(
        &self,
        event: Option<EventId>,
        pause: &Pause,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<(), OperationsError> {
        if let Some(event) = event
            && self.catalogue.event(event).await?.is_none()
        {
            return Err(OperationsError::NotFound);
        }
        self.store.set_pause(event, pause, by).await?;
        let action = if pause.paused { "queue.pause" } else { "queue.resume" };
        self.audit(by, ip, action, event).await?;
        let controls = self.store.controls().await?;
        let partitions =
            Partition::all().filter(|partition| event.is_none_or(|id| Partition::of(id) == *partition));
        for partition in partitions {
            if let Err(error) = self.queue.copy_controls(partition, &controls).await {
                tracing::warn!(
                    partition = partition.index(),
                    error = crate::telemetry::chain(&error),
                    "pause stands in PostgreSQL and reaches Redis when it is back"
                );
            }
        }
        Ok(())
    }

    /// The pause of the whole queue.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn whole_pause(&self) -> Result<Pause, OperationsError> {
        Ok(self.store.controls().await?.queue)
    }

    /// The state of one lane, or of all that were used or are paused.
    ///
    /// # Errors
    /// No such event, or a store is away.
    pub async fn lanes(&self, only: Option<EventId>) -> Result<Vec<LaneReport>, OperationsError> {
        let mut events = match only {
            Some(event) => vec![event],
            None => {
                let mut events = Vec::new();
                for partition in Partition::all() {
                    events.extend(self.queue.lanes(partition).await.map_err(Fault::from)?);
                }
                let controls = self.store.controls().await?;
                let paused = controls.lanes.into_iter().filter(|(_, pause)| pause.paused);
                events.extend(paused.map(|(event, _)| event));
                events.sort_unstable();
                events.dedup();
                events
            }
        };
        events.truncate(LANES);
        let mut reports = Vec::with_capacity(events.len());
        for event in events {
            let known = self.catalogue.event(event).await?;
            if known.is_none() && only.is_some() {
                return Err(OperationsError::NotFound);
            }
            let name = known.map(|event| event.record.name.clone()).unwrap_or_default();
            let state = self.queue.lane_state(event).await.map_err(Fault::from)?;
            reports.push(LaneReport { event, name, state });
        }
        reports.sort_by_key(|report| report.event);
        Ok(reports)
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

    /// Forgets finished jobs; outcomes stay. Returns how many.
    ///
    /// # Errors
    /// No such event, or a store is away.
    pub async fn clean(
        &self,
        only: Option<EventId>,
        which: Finished,
        limit: usize,
        by: UserId,
        ip: Option<IpAddr>,
    ) -> Result<u64, OperationsError> {
        let mut removed = 0;
        for lane in self.lanes(only).await? {
            let left = limit.saturating_sub(usize::try_from(removed).unwrap_or(usize::MAX));
            if left == 0 {
                break;
            }
            removed += self.queue.clean(lane.event, which, left).await.map_err(Fault::from)?;
        }
        self.audit(by, ip, "queue.clean", only).await?;
        Ok(removed)
    }

    async fn audit(
        &self,
        by: UserId,
        ip: Option<IpAddr>,
        action: &str,
        event: Option<EventId>,
    ) -> Result<(), StoreError> {
        let object = event.map_or_else(|| "queue".to_owned(), |event| format!("event {event}"));
        self.store.insert_audit(ip, Some(by), action, &object, "done").await
    }
}
