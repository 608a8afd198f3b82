//! Epochs: how everybody learns that Redis may have lost something, and how jobs come back.

use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{Envelope, EventId};

/// What a partition says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionState {
    /// Its epoch; empty when it has none.
    pub epoch: String,
    /// The sequence of its feed.
    pub seq: u64,
    /// The epoch for which the pauses were copied.
    pub controls: String,
}

impl Queue {
    /// Reads what a partition says of itself.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn partition_state(&self, partition: Partition) -> Result<PartitionState, QueueError> {
        let (epoch, seq, controls): (Option<String>, Option<u64>, Option<String>) = redis::cmd("HMGET")
            .arg(self.keys().partition(partition))
            .arg(&["epoch", "seq", "controls"])
            .query_async(&mut self.connection())
            .await?;
        Ok(PartitionState {
            epoch: epoch.unwrap_or_default(),
            seq: seq.unwrap_or(0),
            controls: controls.unwrap_or_default(),
        })
    }

    /// The epoch of a partition; a new one, when there was none or Redis was started anew since it began.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn current_epoch(&self, partition: Partition) -> Result<String, QueueError> {
        let mut reply = self.call(script!("same_run"), &[self.keys().partition(partition)], &[]).await?;
        match reply.word.as_str() {
            "same" => reply.next(),
            "restarted" => self.begin_epoch(partition, &reply.next::<String>()?, 0).await,
            "no_epoch" => self.begin_epoch(partition, "", 0).await,
            _ => Err(reply.unknown()),
        }
    }

    /// Begins a new epoch, unless somebody did so since `seen` was seen; returns the one that is there then.
    /// Nothing is claimed for `QUEUE_RECOVER_MS` after it began.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn begin_epoch(
        &self,
        partition: Partition,
        seen: &str,
        least_seq: u64,
    ) -> Result<String, QueueError> {
        let epoch = format!("{:016x}", rand::random::<u64>());
        let args = [arg(seen), arg(epoch), arg(self.config().queue_recover_ms), arg(least_seq)];
        let mut reply = self.call(script!("begin_epoch"), &[self.keys().partition(partition)], &args).await?;
        match reply.word.as_str() {
            "begun" | "epoch" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }

    /// Puts jobs back at their own numbers; PostgreSQL has no outcome for any of them. Returns how many were
    /// missing.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn reenter(&self, event: EventId, jobs: &[(u64, Envelope)]) -> Result<u64, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(event));
        let names = [
            keys.partition(partition),
            keys.ready(partition),
            keys.lanes(partition),
            keys.feed(partition),
            keys.meta(event),
            keys.wait(event),
            keys.standby(event),
            keys.owners(event),
        ];
        let mut args = vec![arg(event), arg(keys.wake())];
        for (number, envelope) in jobs {
            args.extend([arg(number), arg(envelope.owner), envelope.live_tag().to_vec(), envelope.encode()]);
        }
        let mut reply = self.call(script!("reenter"), &names, &args).await?;
        match reply.word.as_str() {
            "ok" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }
}
