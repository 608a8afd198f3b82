//! Jobs a second that do nothing: what the queue itself costs.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::lane::Lane;
use super::measure::Measured;
use crate::figures::Quantity;
use crate::lab::Lab;
use crate::report::float;

const JOBS: u32 = 100_000;
/// What a worker takes at once when that stays quick.
const BATCH: usize = 2_000;

/// Claims and settles a full lane, batch after batch, and looks whether its order was kept.
pub(super) async fn measure(lab: &Lab) -> Result<Measured> {
    let lane = Lane::open(lab).await?;
    lane.fill(0..JOBS).await?;
    let (mut done, mut batches, mut last) = (0u64, 0u64, 0);
    let started = Instant::now();
    let mut began = started;
    while let Some(batch) = lane.claim(BATCH).await? {
        for job in &batch.jobs {
            ensure!(job.number > last, "job {} came after job {last}", job.number);
            ensure!(job.envelope.is_some(), "job {} cannot be read", job.number);
            last = job.number;
        }
        lane.settle(&batch, began.elapsed()).await?;
        done += batch.jobs.len() as u64;
        batches += 1;
        began = Instant::now();
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(done == u64::from(JOBS), "{done} of {JOBS} jobs were done");
    let note = format!("{batches} batches on one connection, in order");
    Ok(Measured::new(Quantity::PerSecond(float(done) / seconds)).with_note(note))
}
