//! What a booking writes.

use anyhow::{Context as _, Result, ensure};
use bullmq::Job;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// Connections, all of which stay open.
const CONNECTIONS: u32 = 10;
const EMPTY: &str = "truncate peer.bookings, peer.seat_claims, peer.outcomes, peer.open_bookings, peer.held_seats,
    peer.job_outcomes, peer.facts";
const REMOVE: &str = "drop schema peer cascade";

/// What a job writes, and how it is counted.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    book: &'static str,
    count: &'static str,
}

/// A booking, a seat claim and an outcome.
pub(crate) const LEAST: Rows = Rows {
    book: include_str!("../../sql/book.sql"),
    count: "select count(*) from peer.outcomes join peer.seat_claims using (booking_id)",
};
/// The rows that Usher writes.
pub(crate) const SAME: Rows = Rows {
    book: include_str!("../../sql/reserve.sql"),
    count: "select count(*) from peer.job_outcomes join peer.open_bookings using (user_id)",
};

/// Connects.
pub(crate) async fn open_pool(database: PgConnectOptions) -> Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(CONNECTIONS).min_connections(CONNECTIONS);
    options.connect_with(database).await.context("connect to PostgreSQL")
}

/// Makes the tables, or empties them.
pub(crate) async fn empty_tables(pool: &PgPool) -> Result<()> {
    sqlx::raw_sql(include_str!("../../sql/tables.sql")).execute(pool).await.context("make tables")?;
    sqlx::raw_sql(EMPTY).execute(pool).await.context("empty the tables")?;
    Ok(())
}

/// Drops the tables.
pub(crate) async fn remove_tables(pool: &PgPool) -> Result<()> {
    sqlx::raw_sql(REMOVE).execute(pool).await.context("drop the tables")?;
    Ok(())
}

/// Writes the rows of a job.
pub(crate) async fn book(pool: &PgPool, job: &Job, rows: Rows) -> Result<()> {
    let read = |field: &str| job.data()[field].as_i64().with_context(|| format!("a job without {field}"));
    let small = |field: &str| Ok::<_, anyhow::Error>(i32::try_from(read(field)?)?);
    sqlx::query(rows.book)
        .bind(read("event")?)
        .bind(read("user")?)
        .bind(small("quantity")?)
        .bind(small("seat")?)
        .bind(job.id())
        .execute(pool)
        .await?;
    Ok(())
}

/// Fails unless so many bookings were written.
pub(crate) async fn check_booked(pool: &PgPool, rows: Rows, count: usize) -> Result<()> {
    let booked: i64 = sqlx::query_scalar(rows.count).fetch_one(pool).await?;
    ensure!(booked.unsigned_abs() == count as u64, "{booked} bookings were written instead of {count}");
    Ok(())
}
