//! What a booking writes.

use anyhow::{Context as _, Result, ensure};
use bullmq::Job;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// Connections, all of which stay open.
const CONNECTIONS: u32 = 10;
const EMPTY: &str = "truncate peer.bookings, peer.seat_claims, peer.outcomes";
const REMOVE: &str = "drop schema peer cascade";
const BOOKED: &str = "select count(*) from peer.outcomes join peer.seat_claims using (booking_id)";

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

/// Writes a booking, a seat claim and an outcome.
pub(crate) async fn book(pool: &PgPool, job: &Job) -> Result<()> {
    let read = |field: &str| job.data()[field].as_i64().with_context(|| format!("a job without {field}"));
    let small = |field: &str| Ok::<_, anyhow::Error>(i32::try_from(read(field)?)?);
    sqlx::query(include_str!("../../sql/book.sql"))
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
pub(crate) async fn check_booked(pool: &PgPool, count: usize) -> Result<()> {
    let booked: i64 = sqlx::query_scalar(BOOKED).fetch_one(pool).await?;
    ensure!(booked.unsigned_abs() == count as u64, "{booked} bookings were written instead of {count}");
    Ok(())
}
