//! The whole chain: 10,000 bookings a second over HTTP until 100,000 seats are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::PgPool;

use super::row::{Quantity, Row, Target};
use crate::lab::jobs::{decided, wait_until_decided, warm_up};
use crate::lab::server::Server;
use crate::lab::{Event, Lab};
use crate::load::tally::{latencies, quantile_ms};
use crate::load::{Bookings, Pace, Plan, run};

const SEATS: u32 = 100_000;
const PER_SECOND: u32 = 10_000;
const CONNECTIONS: usize = 1_000;
const POST: Quantity = Quantity::Ms(10.0);
const COMMIT: Quantity = Quantity::Ms(50.0);
const DECIDED_LIMIT: Duration = Duration::from_mins(1);
/// Commits of one row, for the limit.
const COMMITS: u32 = 500;

/// Measures what shoppers feel, and what comes of it.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    // One seat more, for the first booking.
    let event = Event::create(&lab.pool, "The whole chain", SEATS + 1).await?;
    let (usher, bare) = (lab.start_usher().await?, lab.start_bare().await?);
    warm_up(lab, &usher, &event).await?;
    let flush = lone_commit_ms(lab).await?;
    let plan = |server: &Server| Plan {
        target: server.target.address,
        connections: CONNECTIONS,
        threads: 1,
        pace: Pace::Steady { per_second: PER_SECOND, total: u64::from(SEATS) },
        keep_bodies: false,
    };
    let bookings = |server: &Server| {
        Arc::new(Bookings::new(&server.target.host, event.id.0, Arc::clone(&lab.people.tokens), 0))
    };
    let limit = run(plan(&bare), bookings(&bare)).await?.as_limit()?;
    let tally = run(plan(&usher), bookings(&usher)).await?;
    wait_until_decided(&lab.queue, &[event.id], DECIDED_LIMIT).await?;
    bare.stop().await?;
    usher.stop().await?;

    let (p50, p95, p99) = to_commit_ms(&lab.pool, &event).await?;
    let post = Row::new(
        "10,000 bookings/s over HTTP, POST p95",
        Quantity::Ms(tally.quantile_ms(0.95)),
        Some(Quantity::Ms(limit.quantile_ms(0.95))),
        Target::AtMost { limit: POST },
    );
    let note = format!(
        "p50 {:.1}, p99 {:.1} ms over {CONNECTIONS} connections",
        tally.quantile_ms(0.5),
        tally.quantile_ms(0.99)
    );
    let commit = Row::new(
        "of those, enqueue to commit, p95",
        Quantity::Ms(p95 + flush),
        Some(Quantity::Ms(flush)),
        Target::AtMost { limit: COMMIT },
    );
    let sold = event.claimed(&lab.pool).await?;
    let unsold = Row::new(
        "of those, seats left over",
        Quantity::Count((u64::from(SEATS) + 1).saturating_sub(sold)),
        None,
        Target::Exactly { count: Quantity::Count(0) },
    );
    let lost = (tally.good() + 1).saturating_sub(decided(&lab.pool, event.id).await?);
    Ok(vec![
        post.with_note(note).without_errors(tally.errors(), &tally.complaints()),
        commit.with_note(format!(
            "p50 {p50:.1}, p99 {p99:.1} ms until it is dated; to the p95 a commit of one row alone is added, as it is dated before it is flushed"
        )),
        unsold.without_errors(lost, "acknowledged jobs without an outcome"),
    ])
}

/// From the number to the commit as PostgreSQL dates it, which is before it is flushed; without the first booking: p50, p95, p99
/// in ms.
pub(super) async fn to_commit_ms(pool: &PgPool, event: &Event) -> Result<(f64, f64, f64)> {
    let quantiles = sqlx::query_as(include_str!("sql/to_commit.sql")).bind(event.id.0);
    quantiles.fetch_one(pool).await.context("read how long jobs took")
}

/// How long a commit of one row takes on this disk, p95 in ms.
async fn lone_commit_ms(lab: &Lab) -> Result<f64> {
    let mut connection = lab.pool.acquire().await?;
    sqlx::raw_sql("create table if not exists bench_commits (n integer)").execute(&mut *connection).await?;
    let mut taken = latencies();
    for n in 0..COMMITS {
        let started = Instant::now();
        sqlx::query("insert into bench_commits values ($1)")
            .bind(n.cast_signed())
            .execute(&mut *connection)
            .await?;
        taken.saturating_record(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(quantile_ms(&taken, 0.95))
}
