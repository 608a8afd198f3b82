//! Events made to measure.

use shared::domain::{EventId, SeatId};
use shared::store::Store;

/// An event to make.
#[derive(Debug, Clone)]
pub(crate) struct EventPlan {
    /// Rows of the one section.
    pub(crate) rows: i32,
    /// Seats in each row.
    pub(crate) seats_per_row: i32,
    /// Capacity of the one area; 0 for none.
    pub(crate) standing: i32,
    /// Places one person may have.
    pub(crate) seat_limit: i32,
    /// Seconds that a reservation holds.
    pub(crate) hold_seconds: i32,
}

impl EventPlan {
    /// A hall of so many rows.
    pub(crate) fn hall(rows: i32, seats_per_row: i32) -> Self {
        Self { rows, seats_per_row, standing: 0, seat_limit: 10, hold_seconds: 900 }
    }

    /// A club with room for so many.
    pub(crate) fn club(standing: i32) -> Self {
        Self { rows: 0, seats_per_row: 0, standing, seat_limit: 10, hold_seconds: 900 }
    }
}

/// Makes an event that is on sale; its id, its seats in order, and its area.
pub(crate) async fn make_event(
    store: &Store,
    plan: &EventPlan,
) -> Result<(EventId, Vec<SeatId>, i64), sqlx::Error> {
    let mut tx = store.pool().begin().await?;
    sqlx::query("insert into venues (name, city) values ('Test hall', 'Testville') on conflict do nothing")
        .execute(&mut *tx)
        .await?;
    let event: i64 = sqlx::query_scalar(
        "insert into events (venue_id, name, starts_at, sales_open_at, sales_close_at, seat_limit, hold_seconds)
         select id, 'Test event', now() + interval '70 days', now() - interval '1 hour',
             now() + interval '69 days', $1, $2
         from venues where name = 'Test hall' returning id",
    )
    .bind(plan.seat_limit)
    .bind(plan.hold_seconds)
    .fetch_one(&mut *tx)
    .await?;
    let tier: i64 = sqlx::query_scalar(
        "insert into price_tiers (event_id, name, price_minor, currency) values ($1, 'One', 1000, 'EUR') returning id",
    )
    .bind(event)
    .fetch_one(&mut *tx)
    .await?;
    let section: i64 = sqlx::query_scalar(
        "insert into sections (event_id, name, position) values ($1, 'Hall', 1) returning id",
    )
    .bind(event)
    .fetch_one(&mut *tx)
    .await?;
    let seats: Vec<i64> = sqlx::query_scalar(
        "insert into seats
             (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
         select $1, $2, $3, r::text, r, n::text, n, n, r
         from generate_series(1, $4) as rows (r) cross join generate_series(1, $5) as numbers (n)
         order by rows.r, numbers.n returning id",
    )
    .bind(event)
    .bind(section)
    .bind(tier)
    .bind(plan.rows)
    .bind(plan.seats_per_row)
    .fetch_all(&mut *tx)
    .await?;
    let mut area = 0;
    if plan.standing > 0 {
        area = sqlx::query_scalar(
            "insert into areas (event_id, tier_id, name, position, capacity) values ($1, $2, 'Floor', 1, $3) returning id",
        )
        .bind(event)
        .bind(tier)
        .bind(plan.standing)
        .fetch_one(&mut *tx)
        .await?;
    }
    sqlx::query("insert into lanes (event_id) values ($1)").bind(event).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok((EventId(event), seats.into_iter().map(SeatId).collect(), area))
}
