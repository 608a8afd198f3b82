//! Letting a job of a named queue run before its time.

use super::jobs::{Job, JobToAdd};
use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::EventId;

impl Queue {
    /// Lets a job run now that rests, which is found by its number, or is for later; false
    /// when it is neither. One that rests comes back to its own place, one that is for later gets its number now.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn promote(
        &self,
        lane: EventId,
        job: &JobToAdd,
        number: Option<u64>,
    ) -> Result<bool, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(lane));
        let names = [
            keys.partition(partition),
            keys.ready(partition),
            keys.meta(lane),
            keys.wait(lane),
            keys.delayed(lane),
            keys.idem(lane),
            keys.feed(partition),
        ];
        let number = number.map(arg).unwrap_or_default();
        let (idem_key, tag) = (arg(job.id.simple()), job.id.as_bytes().to_vec());
        let args = [arg(lane), arg(keys.wake()), Job::bytes(job), number, idem_key, tag];
        let reply = self.call(script!("promote"), &names, &args).await?;
        match reply.word.as_str() {
            "promoted" => Ok(true),
            "not_delayed" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
