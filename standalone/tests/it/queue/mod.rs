//! The scripts of the queue, on a single Redis and on a Cluster, each: as it should go, told twice, with nothing to do,
//! and too late.

mod every_script;
mod finished;
mod keeping;
mod lane_model;
mod lane_steps;
mod named;
mod named_model;
mod named_property;
mod named_steps;
mod named_world;
mod property;
mod scripts;

use shared::config::QueueConfig;
use shared::domain::{BookingRequest, Envelope, EventId, UserId, Wanted};
use shared::queue::control::Controls;
use shared::queue::enqueue::{Added, NewJob};
use shared::queue::{Partition, Queue};
use standalone::servers::{PrivateRedis, RedisOptions};
use standalone::settings::Settings;

use crate::lab::PrivateCluster;
pub(super) use crate::lab::Site;

/// A queue on a Redis of its own, ready to be claimed from.
pub(super) struct QueueLab {
    pub(super) queue: Queue,
    /// One, or the three of a Cluster.
    pub(super) nodes: Vec<PrivateRedis>,
    _dir: tempfile::TempDir,
}

pub(super) const LANE: EventId = EventId(7);

impl QueueLab {
    pub(super) async fn start(site: Site, words: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let home = dir.path().join("redis");
        let nodes = match site {
            Site::Single => vec![PrivateRedis::start(&home, RedisOptions::throwaway()).await?],
            Site::Cluster => PrivateCluster::start(&home).await?.nodes,
        };
        let urls: Vec<String> = nodes.iter().map(PrivateRedis::url).collect();
        let url = format!("--redis-url={}", urls.join(","));
        let words = ["--queue-recover-ms=0", url.as_str()].into_iter().chain(words.iter().copied());
        let config: QueueConfig = Settings::from_words(words)?.queue;
        let queue = Queue::connect(&config).await?;
        let lab = Self { queue, nodes, _dir: dir };
        lab.ready().await?;
        Ok(lab)
    }

    pub(super) async fn ready(&self) -> Result<(), Box<dyn std::error::Error>> {
        self.queue.copy_controls(Partition::of(LANE), &Controls::default()).await?;
        Ok(())
    }

    /// Adds a job of this owner for so many places; its number.
    pub(super) async fn add(&self, owner: i64, quantity: u32) -> Result<u64, Box<dyn std::error::Error>> {
        match self.queue.enqueue(LANE, &[job(owner, quantity)?]).await?.ok_or("an epoch")?.jobs.as_slice() {
            [Added::Queued { number, .. }] => Ok(*number),
            other => Err(format!("{other:?}").into()),
        }
    }
}

pub(super) fn job(owner: i64, quantity: u32) -> Result<NewJob, Box<dyn std::error::Error>> {
    let wanted = Wanted::Best { quantity, tier: None, section: None, adjacent: false, or_any: false };
    let envelope = Envelope {
        owner: UserId(owner),
        nonce: u64::from(quantity) * 1_000 + u64::try_from(owner)?,
        is_keyed: false,
        ip: None,
        request: BookingRequest::chosen(wanted)?,
    };
    Ok(NewJob { envelope, idempotency: None })
}

/// The end of a lease (`lease_until`) or of a rest (`not_before`) of a lane has come.
pub(super) async fn put_into_past(
    queue: &Queue,
    lane: EventId,
    field: &str,
) -> Result<(), redis::RedisError> {
    let (keys, at, redis) = (queue.keys(), Partition::of(lane), &mut queue.connection());
    let () = redis::cmd("HSET").arg(keys.meta(lane)).arg(field).arg(1).query_async(redis).await?;
    for due in [keys.ready(at), keys.leased(at)] {
        let () = redis::cmd("ZADD").arg(due).arg("XX").arg(1).arg(lane.0).query_async(redis).await?;
    }
    Ok(())
}
