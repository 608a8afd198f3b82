//! PostgreSQL alone: the rows that bookings write, in batches on one connection, by nobody who decides anything.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use shared::domain::BookingId;
use sqlx::types::Json;
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::lab::Event;
use crate::report::float;

/// Jobs in a transaction.
const BATCH: usize = 500;
/// Longer than the run.
const HOLD_MS: i64 = 86_400_000;

/// What one transaction writes, column by column.
#[derive(Default)]
struct Batch {
    numbers: Vec<i64>,
    nonces: Vec<i64>,
    users: Vec<i64>,
    seats: Vec<i64>,
    bookings: Vec<sqlx::types::Uuid>,
    results: Vec<Value>,
    /// As Usher's: one row a topic for all facts of a transaction.
    created: Vec<Value>,
    selected: Vec<Value>,
}

/// Writes a booking, a claim, an outcome and two facts for every seat of an event; seats a second.
pub(super) async fn write_all(pool: &PgPool, people: &[i64], event: &Event) -> Result<f64> {
    let now_us: i64 = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        .fetch_one(pool)
        .await?;
    // Prepared beforehand, so that nothing but writing is measured.
    let batches: Vec<Batch> = event
        .seats
        .chunks(BATCH)
        .enumerate()
        .map(|(nth, seats)| {
            let mut batch = Batch::default();
            for (at, seat) in seats.iter().enumerate() {
                batch.add(nth * BATCH + at, seat.0, people[nth * BATCH + at], now_us);
            }
            batch
        })
        .collect();
    let mut connection = pool.acquire().await?;
    let started = Instant::now();
    for batch in &batches {
        batch.write(&mut connection, event.id.0, now_us / 1_000 + HOLD_MS).await.context("write a batch")?;
    }
    Ok(float(event.seats.len() as u64) / started.elapsed().as_secs_f64())
}

impl Batch {
    fn add(&mut self, nth: usize, seat: i64, user: i64, now_us: i64) {
        let nth = i64::try_from(nth).unwrap_or(0);
        let booking = BookingId::new().0;
        self.numbers.push(now_us + nth);
        self.nonces.push(rand::random());
        self.users.push(user);
        self.seats.push(seat);
        self.bookings.push(booking);
        self.results.push(json!({"b": booking.to_string(), "s": [seat], "e": now_us / 1_000 + HOLD_MS}));
        let id = booking.to_string();
        self.created.push(json!({"bookingId": id, "userId": user}));
        self.selected.push(json!({"bookingId": id, "userId": user, "seatIds": [seat]}));
    }

    async fn write(&self, connection: &mut PgConnection, event: i64, until_ms: i64) -> Result<()> {
        let mut tx = connection.begin().await?;
        sqlx::query(
            "insert into job_outcomes (event_id, number, nonce, user_id, status, result)
             select $1, number, nonce, user_id, 'completed', result
             from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::jsonb[]) as o (number, nonce, user_id, result)",
        )
        .bind(event)
        .bind(&self.numbers)
        .bind(&self.nonces)
        .bind(&self.users)
        .bind(&self.results)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into bookings (id, event_id, user_id, expires_at)
             select id, $1, user_id, to_timestamp($4 / 1000.0)
             from unnest($2::uuid[], $3::bigint[]) as b (id, user_id)",
        )
        .bind(event)
        .bind(&self.bookings)
        .bind(&self.users)
        .bind(until_ms)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
             select seat_id, $1, booking_id, user_id, 'reserved', to_timestamp($2 / 1000.0)
             from unnest($3::bigint[], $4::uuid[], $5::bigint[]) as c (seat_id, booking_id, user_id)",
        )
        .bind(event)
        .bind(until_ms)
        .bind(&self.seats)
        .bind(&self.bookings)
        .bind(&self.users)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into outbox (event_id, seq, topic, facts)
             values ($1, $2, 'booking.created', $3), ($1, $2 + 1000000, 'seat.selected', $4)",
        )
        .bind(event)
        .bind(self.numbers.first())
        .bind(Json(&self.created))
        .bind(Json(&self.selected))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
