//! 100,000 reservations that run out at the same moment.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sqlx::PgPool;

use super::row::{Quantity, Row, Target};
use crate::lab::watch::SlowStatements;
use crate::lab::{Event, Lab};

const SEATS: u32 = 100_000;
/// From now on, in s: longer than it takes to write them and to start.
const HOLD_S: f64 = 20.0;
const ALL: Quantity = Quantity::Ms(2_000.0);
const ONE: Quantity = Quantity::Ms(25.0);
/// A pass is promised every second.
const LATE: Quantity = Quantity::Ms(1_000.0);
/// What is deleted in one statement for the limit.
const CHUNK: usize = 1_000;
const FREED_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Measures the sweeper as it runs, by the notes that it leaves for workers.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let limit_event = Event::create(&lab.pool, "Deleting alone", SEATS).await?;
    limit_event.reserve_all(&lab.pool, &lab.people.ids, 3_600.0).await?;
    let limit = delete_all(&lab.pool, &limit_event).await?;

    let event = Event::create(&lab.pool, "Reservations that run out", SEATS).await?;
    let usher = lab.start_usher().await?;
    let until_ms = event.reserve_all(&lab.pool, &lab.people.ids, HOLD_S).await?;
    let slow = SlowStatements::begin(lab, 1).await?;
    let freed = wait_until_freed(&lab.pool, &event, until_ms).await?;
    let closed_ms = wait_until_closed(&lab.pool, &event, until_ms).await?;
    let statements = slow.end(lab).await?;
    usher.stop().await?;

    ensure!(!statements.is_empty(), "PostgreSQL's log tells of none of the sweeper's statements");
    let left = event.claimed(&lab.pool).await?;
    let total = Row::new(
        "sweep of 100,000 that have run out",
        Quantity::Ms(freed.span_ms),
        Some(Quantity::Ms(limit)),
        Target::AtMost { limit: ALL },
    );
    let longest = Row::new(
        "its longest statement",
        Quantity::Ms(statements.iter().copied().fold(0.0, f64::max)),
        None,
        Target::AtMost { limit: ONE },
    );
    let late = Row::new(
        "its first release, late by",
        Quantity::Ms(freed.late_ms),
        None,
        Target::AtMost { limit: LATE },
    );
    let note = format!(
        "{} passes; the last seat was free {:.0} ms after its time, its booking closed after {closed_ms:.0} ms",
        freed.passes,
        freed.late_ms + freed.span_ms
    );
    let over = statements.iter().filter(|ms| **ms > 25.0).count();
    Ok(vec![
        total.with_note(note).without_errors(left, "seats still held"),
        longest.with_note(format!("{over} over 25 ms, by PostgreSQL's own log")),
        late,
    ])
}

/// When reservations came free, by the notes about it.
pub(super) struct Freed {
    pub(super) passes: i64,
    pub(super) seats: i64,
    pub(super) late_ms: f64,
    pub(super) span_ms: f64,
}

async fn wait_until_freed(pool: &PgPool, event: &Event, until_ms: i64) -> Result<Freed> {
    let seats = i64::try_from(event.seats.len())?;
    let deadline = Instant::now() + Duration::from_secs_f64(HOLD_S) + FREED_LIMIT;
    loop {
        let freed = look(pool, event, until_ms).await?;
        if freed.seats >= seats {
            return Ok(freed);
        }
        if Instant::now() > deadline {
            bail!("{} of {seats} seats were freed", freed.seats);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Bookings are closed after their seats came free: when the last one was, in ms after its time.
async fn wait_until_closed(pool: &PgPool, event: &Event, until_ms: i64) -> Result<f64> {
    let deadline = Instant::now() + FREED_LIMIT;
    loop {
        let (open, closed_ms): (i64, f64) = sqlx::query_as(
            "select count(*) filter (where closed_at is null),
                 coalesce(extract(epoch from max(closed_at)) * 1000 - $2, 0)::float8
             from bookings where event_id = $1",
        )
        .bind(event.id.0)
        .bind(until_ms)
        .fetch_one(pool)
        .await
        .context("read what was closed")?;
        if open == 0 {
            return Ok(closed_ms);
        }
        if Instant::now() > deadline {
            bail!("{open} bookings were not closed");
        }
        tokio::time::sleep(LOOK_EVERY * 10).await;
    }
}

/// Reads the notes.
pub(super) async fn look(pool: &PgPool, event: &Event, until_ms: i64) -> Result<Freed> {
    let notes = sqlx::query_as(include_str!("sql/freed.sql")).bind(event.id.0).bind(until_ms);
    let (passes, seats, late_ms, span_ms) = notes.fetch_one(pool).await.context("read what came free")?;
    Ok(Freed { passes, seats, late_ms, span_ms })
}

/// PostgreSQL alone: deletes the claims and closes the bookings, so many in a statement; ms.
pub(super) async fn delete_all(pool: &PgPool, event: &Event) -> Result<f64> {
    let bookings: Vec<sqlx::types::Uuid> =
        sqlx::query_scalar("select id from bookings where event_id = $1 order by id")
            .bind(event.id.0)
            .fetch_all(pool)
            .await?;
    let mut connection = pool.acquire().await?;
    let started = Instant::now();
    for chunk in bookings.chunks(CHUNK) {
        sqlx::query(include_str!("sql/release.sql"))
            .bind(chunk)
            .execute(&mut *connection)
            .await
            .context("delete claims")?;
    }
    Ok(started.elapsed().as_secs_f64() * 1_000.0)
}
