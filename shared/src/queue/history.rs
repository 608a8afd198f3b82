//! What went through a lane, minute by minute, over the last day.

use std::collections::BTreeMap;

use super::{Queue, QueueError};
use crate::domain::EventId;

/// Minutes that are kept.
pub const MINUTES: u64 = 1_440;

/// One minute of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Minute {
    /// Which, counted from 1970.
    pub minute: u64,
    /// Jobs that won; of a named queue, that were done.
    pub completed: u64,
    /// Jobs that were refused; of a named queue, that failed for good.
    pub failed: u64,
    /// Batches that were decided.
    pub batches: u64,
    /// How long those took together, in ms.
    pub busy_ms: u64,
}

impl Minute {
    /// As `settle.lua` writes it.
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self {
            minute: next()?,
            completed: next()?,
            failed: next()?,
            batches: next()?,
            busy_ms: next()?,
        })
    }
}

/// Adds the minutes of one lane to those of others.
pub fn add_up(all: &mut BTreeMap<u64, Minute>, of_lane: Vec<Minute>) {
    for one in of_lane {
        let sum = all.entry(one.minute).or_insert(Minute { minute: one.minute, ..Minute::default() });
        sum.completed += one.completed;
        sum.failed += one.failed;
        sum.batches += one.batches;
        sum.busy_ms += one.busy_ms;
    }
}

impl Queue {
    /// The last so many minutes of a lane in which something was decided, oldest first.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn history(&self, event: EventId, minutes: u64) -> Result<Vec<Minute>, QueueError> {
        let now = self.now_ms().await? / 60_000;
        let wanted = (now + 1).saturating_sub(minutes.clamp(1, MINUTES))..=now;
        let slots: Vec<u64> = wanted.clone().map(|minute| minute % MINUTES).collect();
        let kept: Vec<Option<String>> = redis::cmd("HMGET")
            .arg(self.keys().history(event))
            .arg(slots)
            .query_async(&mut self.connection())
            .await?;
        // A slot that nothing has happened in since holds a minute of the day before.
        let read = kept.into_iter().flatten().filter_map(|text| Minute::read(&text));
        Ok(read.filter(|minute| wanted.contains(&minute.minute)).collect())
    }
}
