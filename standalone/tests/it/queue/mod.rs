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
use shared::queue::claim::Claim;
use shared::queue::control::Controls;
use shared::queue::enqueue::{Added, NewJob};
use shared::queue::settle::{Decided, Ending};
use shared::queue::{Partition, Queue, QueueError};
use standalone::servers::{PrivateRedis, RedisOptions};
use standalone::settings::Settings;

pub(super) use crate::lab::Site;
use crate::lab::{PrivateCluster, eventually};

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

    /// Waits until so many wait: those who stand by are called back in their time.
    pub(super) async fn until_waiting(&self, jobs: u64) {
        eventually("so many wait", async || {
            self.queue.lane_state(LANE).await.is_ok_and(|lane| lane.waiting == jobs)
        })
        .await;
    }

    /// The same queue as another process has it.
    pub(super) async fn another(&self) -> Result<Queue, QueueError> {
        Queue::connect(self.queue.config()).await
    }

    /// Adds a job of this owner for so many places; its number.
    pub(super) async fn add(&self, owner: i64, quantity: u32) -> Result<u64, Box<dyn std::error::Error>> {
        self.add_job(job(owner, quantity)?).await
    }

    /// Adds a job of this owner for this; its number.
    pub(super) async fn add_request(
        &self,
        owner: i64,
        request: BookingRequest,
    ) -> Result<u64, Box<dyn std::error::Error>> {
        self.add_job(job_for(owner, 0, request)?).await
    }

    async fn add_job(&self, job: NewJob) -> Result<u64, Box<dyn std::error::Error>> {
        match self.queue.enqueue(LANE, &[job]).await?.ok_or("an epoch")?.jobs.as_slice() {
            [Added::Queued { number, .. }] => Ok(*number),
            other => Err(format!("{other:?}").into()),
        }
    }

    /// Claims the lane, and all that is claimed stands by; the numbers.
    pub(super) async fn stand_by(&self, worker: &str) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
        let Claim::Batch(batch) = self.queue.claim(LANE, worker, 1_000).await? else {
            return Err("nobody waits".into());
        };
        let numbers: Vec<u64> = batch.jobs.iter().map(|job| job.number).collect();
        let endings = numbers.iter().map(|number| (*number, Ending::StandsBy)).collect();
        self.queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await??;
        Ok(numbers)
    }
}

pub(super) fn job(owner: i64, quantity: u32) -> Result<NewJob, Box<dyn std::error::Error>> {
    let wanted = Wanted::Best { quantity, tier: None, section: None, adjacent: false, or_any: false };
    job_for(owner, u64::from(quantity), BookingRequest::chosen(wanted)?)
}

fn job_for(owner: i64, nth: u64, request: BookingRequest) -> Result<NewJob, Box<dyn std::error::Error>> {
    let nonce = nth * 1_000 + u64::try_from(owner)?;
    let envelope = Envelope { owner: UserId(owner), nonce, is_keyed: false, ip: None, request };
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
