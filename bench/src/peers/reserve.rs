//! Jobs a second through the whole path: claim, allocate, lock, PostgreSQL, settle.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::types::chrono::{DateTime, Utc};

use super::measure::Measured;
use crate::figures::Quantity;
use crate::figures::invariants::inversions;
use crate::lab::jobs::{best, enqueue, wait_until_decided, warm_up};
use crate::lab::{Event, Lab};
use crate::report::float;

const JOBS: u32 = 100_000;
const DECIDED_LIMIT: Duration = Duration::from_mins(2);

/// Fills a paused lane with a job a seat, lets Usher's worker have it, and measures by PostgreSQL's clock.
pub(super) async fn measure(lab: &Lab) -> Result<Measured> {
    // One more than jobs: the first booking, by which the worker comes to know the event, takes a seat too.
    let event = Event::create(&lab.pool, "Reservations beside others", JOBS + 1).await?;
    let usher = lab.start_usher().await?;
    warm_up(lab, &usher, &event).await?;
    lab.pause(&usher, event.id).await?;
    let request = best(1)?;
    let jobs = event.seats.iter().skip(1).enumerate();
    let jobs = jobs.map(|(nth, _)| (lab.people.user(nth), request.clone()));
    enqueue(&lab.queue, event.id, jobs).await?;
    let (since, number): (DateTime<Utc>, i64) =
        sqlx::query_as("select clock_timestamp(), min(number) from job_outcomes where event_id = $1")
            .bind(event.id.0)
            .fetch_one(&lab.pool)
            .await?;
    lab.resume(&usher, event.id).await?;
    wait_until_decided(&lab.queue, &[event.id], DECIDED_LIMIT).await?;
    usher.stop().await?;

    let claimed = event.claimed(&lab.pool).await?;
    ensure!(claimed == u64::from(JOBS) + 1, "{claimed} seats are held after {JOBS} jobs and one");
    let inverted = inversions(&lab.pool, number).await?;
    ensure!(inverted == 0, "{inverted} jobs were decided out of order");
    let (jobs, seconds, batches): (i64, f64, i64) = sqlx::query_as(include_str!("../figures/sql/pace.sql"))
        .bind(vec![event.id.0])
        .bind(since)
        .fetch_one(&lab.pool)
        .await
        .context("read how fast jobs were decided")?;
    ensure!(seconds > 0.0, "all jobs were decided in one batch");
    let note = format!("{claimed} seats in {batches} transactions, with facts and seats chosen; in order");
    Ok(Measured::new(Quantity::PerSecond(float(jobs.unsigned_abs()) / seconds)).with_note(note))
}
