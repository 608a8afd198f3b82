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
        let (mut from, mut keys) = (0, 0);
        for to in 0..=jobs.len() {
            let is_last = to == jobs.len();
            if is_last || keys + jobs[to].len() > KEYS_PER_CALL {
                match self.lock_part(lease, &jobs[from..to]).await? {
                    Locked::Stale => return Ok(Locked::Stale),
                    Locked::Except(these) => kept_out.extend(these.into_iter().map(|at| at + from)),
                }
                (from, keys) = (to, 0);
            }
            if !is_last {
                keys += jobs[to].len();
            }
        }
        Ok(Locked::Except(kept_out))
    }

    async fn lock_part(&self, lease: &Lease, jobs: &[Vec<String>]) -> Result<Locked, QueueError> {
        let keys: Vec<&String> = jobs.iter().flatten().collect();
        if keys.is_empty() || self.take_free(lease, &keys).await {
            return Ok(Locked::Except(Vec::new()));
        }
        let mut call = Call::new(script!("lock"), &keys);
        call.arg(lease.event.0).arg(lease.fence).arg(self.config().queue_lease_ms);
        for keys in jobs {
            call.arg(keys.len());
        }
        let reply = self.send(&call).await?;
        match reply.word.as_str() {
            "locked" => Ok(Locked::Except(reply.rest()?)),
            "stale" => Ok(Locked::Stale),
            _ => Err(reply.unknown()),
        }
    }

    /// Takes these locks if nobody has any of them, which is usual, and costs Redis a third of what the script does. When
    /// somebody has one, the script decides: what was taken here is met there as one's own.
    async fn take_free(&self, lease: &Lease, keys: &[&String]) -> bool {
        let mine = format!("{}:{}", lease.event, lease.fence);
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.cmd("SET").arg(key).arg(&mine).arg("NX").arg("PX").arg(self.config().queue_lease_ms);
        }
        let taken: redis::RedisResult<Vec<Option<String>>> = pipe.query_async(&mut self.connection()).await;
        taken.is_ok_and(|taken| taken.iter().all(Option::is_some))
    }
}
