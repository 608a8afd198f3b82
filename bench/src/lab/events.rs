//! Halls with many seats.

use anyhow::{Context as _, Result};
use shared::domain::{BookingId, EventId, SeatId};
use sqlx::PgPool;

/// Rows that go to PostgreSQL in one statement.
const CHUNK: usize = 10_000;

/// An event that was made for a measurement.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Its seats, ascending.
    pub seats: Vec<SeatId>,
}

impl Event {
    /// Makes an event on sale with so many seats.
    pub async fn create(pool: &PgPool, name: &str, seats: u32) -> Result<Self> {
        let id: i64 = sqlx::query_scalar(include_str!("sql/event.sql"))
            .bind(name)
            .bind(i32::try_from(seats).context("that many seats")?)
            .fetch_one(pool)
            .await
            .context("make an event")?;
        let seats: Vec<i64> = sqlx::query_scalar("select id from seats where event_id = $1 order by id")
            .bind(id)
            .fetch_all(pool)
            .await?;
        Ok(Self { id: EventId(id), seats: seats.into_iter().map(SeatId).collect() })
    }

    /// Reserves every seat, each in a booking of its own, until a moment so many seconds from now. That moment
    /// is the same for all, and is returned in ms since 1970.
    pub async fn reserve_all(&self, pool: &PgPool, people: &[i64], seconds: f64) -> Result<i64> {
        let until_ms: i64 =
            sqlx::query_scalar("select ((extract(epoch from clock_timestamp()) + $1) * 1000)::bigint")
                .bind(seconds)
                .fetch_one(pool)
                .await?;
        let people = people.get(..self.seats.len()).context("there are fewer people than seats")?;
        for (seats, people) in self.seats.chunks(CHUNK).zip(people.chunks(CHUNK)) {
            let ids: Vec<i64> = seats.iter().map(|seat| seat.0).collect();
            let bookings: Vec<_> = seats.iter().map(|_| BookingId::new().0).collect();
            sqlx::query(include_str!("sql/reserved.sql"))
                .bind(self.id.0)
                .bind(&ids)
                .bind(&bookings)
                .bind(people)
                .bind(until_ms)
                .execute(pool)
                .await
                .context("reserve seats")?;
        }
        sqlx::raw_sql("analyze bookings, seat_claims").execute(pool).await?;
        Ok(until_ms)
    }

    /// How many of its seats somebody has.
    pub async fn claimed(&self, pool: &PgPool) -> Result<u64> {
        let claimed: i64 = sqlx::query_scalar("select count(*) from seat_claims where event_id = $1")
            .bind(self.id.0)
            .fetch_one(pool)
            .await?;
        Ok(claimed.unsigned_abs())
    }
}
