//! Jobs added a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use shared::domain::EventId;
use shared::queue::enqueue::Added;
use shared::queue::enqueuer::Enqueuer;
use tokio::task::JoinSet;

use super::lane::{Lane, new_job};
use super::measure::Measured;
use crate::figures::Quantity;
use crate::lab::Lab;
use crate::lab::jobs::best;
use crate::report::float;

/// As many as the peers have.
const ADDERS: u32 = 50;
/// Jobs before the clock starts.
const WARM_UP: u32 = 2_000;
const ONE_BY_ONE: u32 = 100_000;
const IN_BULK: u32 = 200_000;

/// Jobs one by one from many adders at once, each of whom waits for an answer, as requests in a gateway do.
pub(super) async fn one_by_one(lab: &Lab) -> Result<Measured> {
    let lane = Lane::open(lab).await?;
    let enqueuer = Enqueuer::start(lane.queue.clone());
    add_all(&enqueuer, lane.event, 0, WARM_UP).await?;
    let started = Instant::now();
    add_all(&enqueuer, lane.event, WARM_UP, WARM_UP + ONE_BY_ONE).await?;
    let seconds = started.elapsed().as_secs_f64();
    lane.check_waiting(WARM_UP + ONE_BY_ONE).await?;
    Ok(pace(ONE_BY_ONE, seconds).with_note(format!("{ADDERS} adders")))
}

/// Jobs in large calls, of which two are under way at once, as with the peers.
pub(super) async fn in_bulk(lab: &Lab) -> Result<Measured> {
    let lane = Lane::open(lab).await?;
    lane.fill(0..WARM_UP).await?;
    let (middle, end) = (WARM_UP + IN_BULK / 2, WARM_UP + IN_BULK);
    let started = Instant::now();
    tokio::try_join!(lane.fill(WARM_UP..middle), lane.fill(middle..end))?;
    let seconds = started.elapsed().as_secs_f64();
    lane.check_waiting(end).await?;
    Ok(pace(IN_BULK, seconds))
}

fn pace(jobs: u32, seconds: f64) -> Measured {
    Measured::new(Quantity::PerSecond(float(u64::from(jobs)) / seconds))
}

async fn add_all(enqueuer: &Enqueuer, event: EventId, from: u32, end: u32) -> Result<()> {
    let next = Arc::new(AtomicU32::new(from));
    let mut adders: JoinSet<Result<()>> = JoinSet::new();
    for _ in 0..ADDERS {
        adders.spawn(add(enqueuer.clone(), event, Arc::clone(&next), end));
    }
    while let Some(ended) = adders.join_next().await {
        ended.context("an adder broke off")??;
    }
    Ok(())
}

async fn add(enqueuer: Enqueuer, event: EventId, next: Arc<AtomicU32>, end: u32) -> Result<()> {
    let request = best(1)?;
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= end {
            return Ok(());
        }
        let added = enqueuer.add(event, new_job(nth, &request)).await?;
        if !matches!(added, Added::Queued { is_new: true, .. }) {
            bail!("a job was not added: {added:?}");
        }
    }
}
