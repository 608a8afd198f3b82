//! Keeping a lease, and giving it back undecided.

use std::time::Duration;

use super::claim::Lease;
use super::script::{arg, script};
use super::{Partition, Queue, QueueError};

/// The lease belongs to somebody else by now, or to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease on this lane was lost")]
pub struct LeaseLost;

/// How a lease is given back.
#[derive(Debug, Clone, Default)]
pub struct GiveBack {
    /// The lane rests this long.
    pub delay: Duration,
    /// The job that failed by itself: its attempts rise by one.
    pub failed: Option<u64>,
    /// PostgreSQL knows a higher fence; Redis' rises to it.
    pub least_fence: u64,
    /// Keys of seat locks to release.
    pub locks: Vec<String>,
}

impl Queue {
    /// Moves the end of a lease to a whole lease from now.
    ///
    /// # Errors
    /// Redis is away. `Ok(Err(LeaseLost))` when it is too late.
    pub async fn renew(&self, lease: &Lease) -> Result<Result<(), LeaseLost>, QueueError> {
        let keys = self.keys();
        let partition = Partition::of(lease.event);
        let names = [keys.ready(partition), keys.meta(lease.event), keys.leased(partition)];
        let args =
            [arg(lease.event), arg(&lease.worker), arg(lease.fence), arg(self.config().queue_lease_ms)];
        let reply = self.call(script!("renew"), &names, &args).await?;
        match reply.word.as_str() {
            "renewed" => Ok(Ok(())),
            "lost" => Ok(Err(LeaseLost)),
            _ => Err(reply.unknown()),
        }
    }

    /// Ends a lease without deciding its jobs; returns the attempts of the failed one.
    ///
    /// # Errors
    /// Redis is away; the lease then runs out by itself.
    pub async fn give_back(
        &self,
        lease: &Lease,
        how: &GiveBack,
    ) -> Result<Result<u32, LeaseLost>, QueueError> {
        let (keys, partition) = (self.keys(), Partition::of(lease.event));
        let mut names = vec![
            keys.partition(partition),
            keys.ready(partition),
            keys.feed(partition),
            keys.meta(lease.event),
            keys.attempts(lease.event),
            keys.leased(partition),
            keys.wait(lease.event),
        ];
        names.extend(how.locks.iter().cloned());
        let args = [
            arg(lease.event),
            arg(&lease.worker),
            arg(lease.fence),
            arg(keys.wake()),
            arg(how.delay.as_millis()),
            arg(how.failed.map(|number| number.to_string()).unwrap_or_default()),
            arg(how.least_fence),
        ];
        let mut reply = self.call(script!("give_back"), &names, &args).await?;
        match reply.word.as_str() {
            "given_back" => Ok(Ok(reply.next()?)),
            "lost" => Ok(Err(LeaseLost)),
            _ => Err(reply.unknown()),
        }
    }
}
