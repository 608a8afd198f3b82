//! Forgetting a lane.

use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::EventId;

impl Queue {
    /// Forgets a lane that nobody is in, with its finished jobs, idempotency keys, totals and history; outcomes stay in
    /// PostgreSQL, and a pause stays. False when somebody waits, stands by or is being decided.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn obliterate(&self, event: EventId) -> Result<bool, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(event));
        let mut names = vec![keys.ready(partition), keys.lanes(partition)];
        names.extend(keys.whole_lane(event));
        let reply = self.call(script!("obliterate"), &names, &[arg(event)]).await?;
        match reply.word.as_str() {
            "obliterated" => Ok(true),
            "in_use" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
