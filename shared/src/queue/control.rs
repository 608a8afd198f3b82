//! Copying pauses from PostgreSQL, where they live, to Redis, where they work.

use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::EventId;

/// Whether something is paused, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pause {
    /// Whether.
    pub paused: bool,
    /// What those who wait are told; may be empty.
    pub message: String,
}

/// The pauses of the whole queue and of some lanes.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// Of everything.
    pub queue: Pause,
    /// Of single lanes; a lane that is missing is not paused.
    pub lanes: std::collections::HashMap<EventId, Pause>,
}

impl Queue {
    /// The lanes of a partition.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn lanes(&self, partition: Partition) -> Result<Vec<EventId>, QueueError> {
        let mut lanes = Vec::new();
        let mut cursor = 0u64;
        loop {
            let (next, page): (u64, Vec<i64>) = redis::cmd("SSCAN")
                .arg(self.keys().lanes(partition))
                .arg(cursor)
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut self.connection())
                .await?;
            lanes.extend(page.into_iter().map(EventId));
            if next == 0 {
                lanes.sort_unstable();
                lanes.dedup();
                return Ok(lanes);
            }
            cursor = next;
        }
    }

    /// Copies pauses to a partition, for the epoch that it has; also puts lanes back that somebody waits in and
    /// that no worker would look at. Returns how many pauses changed.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn copy_controls(&self, partition: Partition, controls: &Controls) -> Result<u64, QueueError> {
        let state = self.partition_state(partition).await?;
        let epoch =
            if state.epoch.is_empty() { self.begin_epoch(partition, "", 0).await? } else { state.epoch };
        let mut lanes = self.lanes(partition).await?;
        lanes.extend(controls.lanes.keys().filter(|event| Partition::of(**event) == partition));
        lanes.sort_unstable();
        lanes.dedup();
        let keys = self.keys();
        let mut names = vec![keys.partition(partition), keys.ready(partition), keys.feed(partition)];
        let mut args = vec![
            arg(keys.wake()),
            arg(epoch),
            arg(u8::from(controls.queue.paused)),
            arg(&controls.queue.message),
        ];
        let not_paused = Pause::default();
        for event in lanes {
            let pause = controls.lanes.get(&event).unwrap_or(&not_paused);
            names.extend([keys.meta(event), keys.wait(event)]);
            args.extend([arg(event), arg(u8::from(pause.paused)), arg(&pause.message)]);
        }
        let mut reply = self.call(script!("control"), &names, &args).await?;
        match reply.word.as_str() {
            "copied" => reply.next(),
            // Somebody began another epoch meanwhile; the next tick copies for that one.
            "epoch" => Ok(0),
            _ => Err(reply.unknown()),
        }
    }
}
