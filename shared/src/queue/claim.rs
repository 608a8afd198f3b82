//! Handing the head of a lane to a worker.

use super::script::{Reply, arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{Envelope, EventId};

/// A lease on a lane: who has it, under which fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The lane.
    pub event: EventId,
    /// The worker; unique per process start.
    pub worker: String,
    /// Rises with every claim of the lane and never falls.
    pub fence: u64,
}

/// A job as it stands in its lane: its number, a colon, its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member(Vec<u8>);

impl Member {
    /// A job with this number; with none yet when it is for later.
    pub(super) fn of(number: Option<u64>, payload: &[u8]) -> Self {
        let number = number.map_or_else(|| "s".to_owned(), |number| number.to_string());
        Self([number.as_bytes(), b":", payload].concat())
    }

    /// Its number and its payload; `None` when the bytes make no sense.
    pub(super) fn split(&self) -> Option<(u64, &[u8])> {
        let colon = self.0.iter().position(|byte| *byte == b':')?;
        let number = std::str::from_utf8(&self.0[..colon]).ok()?.parse().ok()?;
        Some((number, &self.0[colon + 1..]))
    }

    /// Its payload, whether it has a number or is for later and has none yet.
    pub(super) fn payload(&self) -> &[u8] {
        let colon = self.0.iter().position(|byte| *byte == b':');
        colon.and_then(|colon| self.0.get(colon + 1..)).unwrap_or_default()
    }
}

impl redis::FromRedisValue for Member {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        Vec::from_redis_value(value).map(Self)
    }
}

impl redis::ToRedisArgs for Member {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        out.write_arg(&self.0);
    }
}

/// A job in a batch.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// Its number in the lane.
    pub number: u64,
    /// As it stands there.
    pub member: Member,
    /// The job, or `None` when its bytes make no sense (it then fails).
    pub envelope: Option<Envelope>,
    /// How often it has failed by itself so far.
    pub attempts: u32,
}

/// A job as it comes out of a lane.
pub trait Claimed: Send + Sync + 'static {
    /// From how it stands in its lane, and how often it has failed by itself.
    fn read(member: Member, attempts: u32) -> Self;
}

impl Claimed for ClaimedJob {
    fn read(member: Member, attempts: u32) -> Self {
        let (number, payload) = member.split().unwrap_or_default();
        Self { number, envelope: Envelope::decode(payload).ok(), member, attempts }
    }
}

/// The head of a lane, in order.
#[derive(Debug, Clone)]
pub struct Batch<J = ClaimedJob> {
    /// The right to decide these jobs.
    pub lease: Lease,
    /// At least one, ascending by number.
    pub jobs: Vec<J>,
    /// A lease before this one had run out: its worker stalled or died.
    pub was_stalled: bool,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum Claim<J = ClaimedJob> {
    /// Jobs to decide.
    Batch(Batch<J>),
    /// Nobody waits.
    Empty,
    /// The queue or this lane is paused.
    Paused,
    /// Somebody has it, or it rests, until then (ms since 1970 on Redis' clock).
    NotBefore(u64),
    /// Redis may have lost something, and jobs are being re-entered until then.
    Recovering(u64),
    /// The pauses have not been copied from PostgreSQL in this epoch.
    NoControls(String),
    /// The partition has no epoch yet.
    NoEpoch,
    /// Redis was started anew since this epoch began: another one must begin.
    Restarted(String),
}

impl Queue {
    /// Claims up to `max_jobs` from the head of a lane.
    ///
    /// # Errors
    /// Redis is away. The lane may have been leased all the same; the lease then runs out.
    pub async fn claim(&self, event: EventId, worker: &str, max_jobs: usize) -> Result<Claim, QueueError> {
        self.claim_as(event, worker, max_jobs).await
    }

    /// The same, for jobs of any kind.
    ///
    /// # Errors
    /// Redis is away. The lane may have been leased all the same; the lease then runs out.
    pub async fn claim_as<J: Claimed>(
        &self,
        event: EventId,
        worker: &str,
        max_jobs: usize,
    ) -> Result<Claim<J>, QueueError> {
        let args = [arg(event), arg(worker), arg(max_jobs), arg(self.config().queue_lease_ms)];
        let mut reply = self.call(script!("claim"), &self.claim_keys(event), &args).await?;
        Ok(match reply.word.as_str() {
            "claimed" => {
                let lease = Lease { event, worker: worker.to_owned(), fence: reply.next()? };
                let was_stalled = reply.next::<String>()? == "1";
                let jobs = read_jobs(reply)?;
                Claim::Batch(Batch { lease, jobs, was_stalled })
            }
            "empty" => Claim::Empty,
            "paused" => Claim::Paused,
            "leased" | "later" => Claim::NotBefore(reply.next()?),
            "recovering" => Claim::Recovering(reply.next()?),
            "no_controls" => Claim::NoControls(reply.next()?),
            "no_epoch" => Claim::NoEpoch,
            "restarted" => Claim::Restarted(reply.next()?),
            _ => return Err(reply.unknown()),
        })
    }

    /// Takes further jobs under the lease that one has, behind the number `after` that one took last, to be decided
    /// after all those before; none when the lane has no more, is paused, is somebody else's, or has jobs at its head
    /// that came back.
    ///
    /// # Errors
    /// Redis is away. Jobs may have been taken all the same; they are claimed anew when the lease is over.
    pub async fn extend(
        &self,
        lease: &Lease,
        after: u64,
        max_jobs: usize,
    ) -> Result<Option<Batch>, QueueError> {
        let event = lease.event;
        let lease_ms = self.config().queue_lease_ms;
        let args =
            [arg(event), arg(&lease.worker), arg(lease.fence), arg(max_jobs), arg(lease_ms), arg(after)];
        let reply = self.call(script!("extend"), &self.claim_keys(event), &args).await?;
        match reply.word.as_str() {
            "extended" => {
                Ok(Some(Batch { lease: lease.clone(), jobs: read_jobs(reply)?, was_stalled: false }))
            }
            "over" => Ok(None),
            _ => Err(reply.unknown()),
        }
    }

    /// The keys of `claim.lua` and `extend.lua`, which take jobs from the same places.
    fn claim_keys(&self, event: EventId) -> [String; 9] {
        let (keys, partition) = (self.keys(), Partition::of(event));
        [
            keys.partition(partition),
            keys.ready(partition),
            keys.feed(partition),
            keys.meta(event),
            keys.wait(event),
            keys.attempts(event),
            keys.delayed(event),
            keys.leased(partition),
            keys.idem(event),
        ]
    }

    /// Lanes of a partition that are due for a look, longest due first.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn due_lanes(&self, partition: Partition, at_most: usize) -> Result<Vec<EventId>, QueueError> {
        let now_ms = self.now_ms().await?;
        let lanes: Vec<i64> = redis::cmd("ZRANGEBYSCORE")
            .arg(self.keys().ready(partition))
            .arg("-inf")
            .arg(now_ms)
            .arg("LIMIT")
            .arg(0)
            .arg(at_most)
            .query_async(&mut self.connection())
            .await?;
        Ok(lanes.into_iter().map(EventId).collect())
    }
}

fn read_jobs<J: Claimed>(mut reply: Reply) -> Result<Vec<J>, QueueError> {
    let mut jobs = Vec::with_capacity(reply.left() / 2);
    while reply.left() > 0 {
        jobs.push(J::read(reply.next()?, reply.next()?));
    }
    Ok(jobs)
}
