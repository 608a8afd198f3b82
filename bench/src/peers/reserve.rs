//! Jobs a second through the whole path: claim, allocate, lock, PostgreSQL, settle.

use anyhow::{Result, ensure};

use super::measure::Measured;
use crate::figures::Quantity;
use crate::figures::reserve::{Reserved, reserve};
use crate::lab::{Event, Lab};

const JOBS: u32 = 100_000;
/// Jobs before those that are measured: peers try their concurrencies with as many, on tables that they go on to use.
const TRIED: u32 = 25_000;

/// Fills a paused lane with a job a seat, lets Usher's worker have it, and measures by PostgreSQL's clock.
pub(super) async fn measure(lab: &Lab) -> Result<Measured> {
    fill(lab, TRIED).await?;
    let reserved = fill(lab, JOBS).await?;
    ensure!(reserved.per_second() > 0.0, "all jobs were decided in one batch");
    let note = format!("{}, with facts and seats chosen; in order", reserved.note());
    Ok(Measured::new(Quantity::PerSecond(reserved.per_second())).with_note(note))
}

async fn fill(lab: &Lab, jobs: u32) -> Result<Reserved> {
    // One more than jobs: the first booking, by which the worker comes to know the event, takes a seat too.
    let event = Event::create(&lab.pool, "Reservations beside others", jobs + 1).await?;
    let usher = lab.start_usher().await?;
    let reserved = reserve(lab, &usher, &[event]).await?;
    usher.stop().await?;
    let (claimed, inverted) = (reserved.claimed, reserved.inversions);
    ensure!(claimed == u64::from(jobs), "{claimed} seats are held after {jobs} jobs");
    ensure!(inverted == 0, "{inverted} jobs were decided out of order");
    Ok(reserved)
}
