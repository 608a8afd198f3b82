//! Bytes of Redis per waiting job.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bullmq::Queue;
use tokio::time::sleep;

use crate::queue::{fill, payload, with_queue};
use crate::report::{Told, report, tell};
use crate::settings::Settings;

/// Jobs beforehand: they fill the queue's stream of events, whose length is limited and is no cost of a waiting job.
const BEFORE: usize = 10_000;
/// Redis gives back the buffers of idle clients within seconds.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures what waiting jobs add to Redis' memory.
pub(crate) async fn memory(settings: &Settings) -> Result<()> {
    let count = settings.jobs();
    let bytes = with_queue(settings, async |queue| {
        fill(queue, 0..BEFORE, payload).await?;
        let before = used_memory(queue).await?;
        fill(queue, BEFORE..BEFORE + count, payload).await?;
        Ok(used_memory(queue).await?.saturating_sub(before))
    })
    .await?;
    let mut told = Told::new();
    tell(&mut told, "count", count);
    tell(&mut told, "bytes", bytes);
    tell(&mut told, "bytesPerJob", bytes as f64 / count as f64);
    report(&settings.name, told);
    Ok(())
}

async fn used_memory(queue: &Queue) -> Result<u64> {
    sleep(SETTLE).await;
    let info: String = queue.connection().cmd(redis::cmd("INFO").arg("memory")).await?;
    let bytes = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
    bytes.context("Redis does not tell its memory")
}
