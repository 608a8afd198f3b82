//! Seat locks: they keep two workers from proposing the same place; PostgreSQL decides all the same.

use super::claim::Lease;
use super::script::{Call, script};
use super::{Queue, QueueError};

/// Keys in one call at most: a millisecond or two in which nobody else is served by Redis.
const KEYS_PER_CALL: usize = 200;

/// What became of the locks of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Locked {
    /// Taken, but for the jobs with these indexes, which a foreign lock keeps out.
    Except(Vec<usize>),
    /// A newer fence of this lane has locks here: the lease is lost.
    Stale,
}

impl Queue {
    /// Takes the locks of several jobs, all or none for each.
    ///
    /// # Errors
    /// Redis is away. Locks that were taken run out with the lease.
    pub async fn lock(&self, lease: &Lease, jobs: &[Vec<String>]) -> Result<Locked, QueueError> {
        let mut kept_out = Vec::new();
        let (mut from, mut keys) = (0, Vec::new());
        for to in 0..=jobs.len() {
            let is_last = to == jobs.len();
            if is_last || keys.len() + jobs[to].len() > KEYS_PER_CALL {
                if !keys.is_empty() {
                    let mut call = Call::new(script!("lock"), &keys);
                    call.arg(lease.event.0).arg(lease.fence).arg(self.config().queue_lease_ms);
                    for keys in &jobs[from..to] {
                        call.arg(keys.len());
                    }
                    let reply = self.send(&call).await?;
                    match reply.word.as_str() {
                        "locked" => kept_out.extend(reply.rest::<usize>()?.into_iter().map(|at| at + from)),
                        "stale" => return Ok(Locked::Stale),
                        _ => return Err(reply.unknown()),
                    }
                }
                from = to;
                keys.clear();
            }
            if !is_last {
                keys.extend(jobs[to].iter().cloned());
            }
        }
        Ok(Locked::Except(kept_out))
    }
}
