//! Forgetting a lane.

use super::script::{arg, script};
use super::{BOOKINGS, Partition, Queue, QueueError};
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
        // The fence of a named queue's lane stands nowhere else.
        let keeps_fence = u8::from(self.name() != BOOKINGS);
        let args = [arg(event), arg(keeps_fence)];
        let reply = self.call(script!("obliterate"), &names, &args).await?;
        match reply.word.as_str() {
            "obliterated" => Ok(true),
            "in_use" => Ok(false),
            _ => Err(reply.unknown()),
        }
    }
}
