//! A private Redis, and the queue on it.

use anyhow::{Context as _, Result};
use clap::Parser;
use shared::config::QueueConfig;
use shared::queue::control::Controls;
use shared::queue::{Partition, Queue};
use standalone::servers::{PrivateRedis, RedisOptions};
use tempfile::TempDir;

use super::line::LANE;

/// Not on a memory disk, on which a flush would cost nothing.
const ROOT: &str = "/var/tmp";

/// Settings of the queue as its processes read them, with their defaults.
#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    queue: QueueConfig,
}

/// An empty queue that can be claimed from.
pub(super) struct Site {
    /// The queue.
    pub(super) queue: Queue,
    _redis: PrivateRedis,
    // Dropped last: the server lies in it.
    _dir: TempDir,
}

impl Site {
    /// Starts Redis, durable as in earnest, for a lane of this length at most.
    pub(super) async fn start(longest: u64) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("usher-bench-")
            .tempdir_in(ROOT)
            .context("make a folder for Redis")?;
        let options = RedisOptions { throwaway: true, ..RedisOptions::default() };
        let redis = PrivateRedis::start(&dir.path().join("redis"), options).await?;
        let (url, longest) = (redis.url(), longest.to_string());
        let settings = Settings::try_parse_from([
            "bench",
            "--redis-url",
            &url,
            "--queue-max-waiting",
            &longest,
            // Nobody has jobs to put back.
            "--queue-recover-ms",
            "0",
        ])?;
        let queue = Queue::connect(&settings.queue).await?;
        // Also begins the epoch without which nothing is added.
        queue.copy_controls(Partition::of(LANE), &Controls::default()).await?;
        Ok(Self { queue, _redis: redis, _dir: dir })
    }

    /// The memory that data takes in Redis, in bytes; connections, the log's buffer and scripts are not in it.
    pub(super) async fn bytes(&self) -> Result<f64> {
        let info: redis::InfoDict =
            redis::cmd("INFO").arg("memory").query_async(&mut self.queue.connection()).await?;
        info.get("used_memory_dataset").context("Redis does not tell how much memory its data takes")
    }
}
