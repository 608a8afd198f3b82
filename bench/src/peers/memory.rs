//! Bytes of Redis per waiting job.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::lane::Lane;
use super::measure::Measured;
use crate::figures::Quantity;
use crate::lab::Lab;
use crate::report::{float, thousands};

/// Jobs beforehand, as with the peers, whose streams of events they fill.
const BEFORE: u32 = 10_000;
const WAITING: u32 = 100_000;
/// Redis gives back the buffers of idle clients within seconds.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures what waiting jobs add to Redis' memory, the feed included.
pub(super) async fn measure(lab: &Lab) -> Result<Measured> {
    let lane = Lane::open(lab).await?;
    lane.fill(0..BEFORE).await?;
    let before = used_bytes(lab).await?;
    lane.fill(BEFORE..BEFORE + WAITING).await?;
    let bytes = used_bytes(lab).await?.saturating_sub(before);
    lane.check_waiting(BEFORE + WAITING).await?;
    let waiting = u64::from(WAITING);
    let note = format!("{} more jobs that wait", thousands(waiting));
    Ok(Measured::new(Quantity::Bytes(float(bytes) / float(waiting))).with_note(note))
}

async fn used_bytes(lab: &Lab) -> Result<u64> {
    tokio::time::sleep(SETTLE).await;
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("memory").query_async(&mut lab.queue.connection()).await?;
    info.get("used_memory").context("Redis does not tell its memory")
}
