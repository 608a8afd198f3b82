//! One look at all that a batch is decided on.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use sqlx::types::Json;

use super::{Prepared, Usage};
use crate::domain::{AreaId, BookingId, EventId, SeatId, UserId};
use crate::store::claims::slot;
use crate::store::outcomes::{OutcomeRow, known_outcomes};
use crate::store::{ClaimedPlace, FreedPlaces, StoreError};

/// What is asked.
pub(super) struct Question<'a> {
    /// Numbers and nonces.
    pub(super) jobs: &'a [(u64, u64)],
    pub(super) users: &'a [UserId],
    /// From which transaction on to look for what came free,
    pub(super) xmin: &'a str,
    /// but for these rows.
    pub(super) seen: &'a HashSet<i64>,
}

/// User, booking, whether it is open, places.
type UsageRow = (UserId, BookingId, bool, u32);
/// Id, seats, areas and their slots, whether they were sold instead.
type FreedRow = (i64, Vec<SeatId>, Vec<AreaId>, Vec<i32>, bool);

pub(super) async fn read_batch(
    connection: &mut PgConnection,
    event: EventId,
    question: &Question<'_>,
) -> Result<Option<Prepared>, StoreError> {
    let numbers: Vec<i64> = question.jobs.iter().map(|(number, _)| number.cast_signed()).collect();
    let users: Vec<i64> = question.users.iter().map(|user| user.0).collect();
    let (lowest, highest) = (numbers.iter().min().copied(), numbers.iter().max().copied());
    let Some(row) = sqlx::query_file!(
        "src/store/sql/read_batch.sql",
        event.0,
        &numbers,
        &users,
        question.xmin,
        lowest,
        highest
    )
    .fetch_optional(connection)
    .await?
    else {
        return Ok(None);
    };
    let now_ms = row.now.timestamp_millis();
    let rows = |rows: Option<Json<Vec<OutcomeRow>>>| rows.map(|Json(rows)| rows).unwrap_or_default();
    Ok(Some(Prepared {
        version: row.version,
        layout_version: u32::try_from(row.layout_version).unwrap_or(0),
        seat_limit: u32::try_from(row.seat_limit).unwrap_or(0),
        one_booking_each: row.one_booking_each,
        is_free: row.is_free,
        now_ms,
        expires_at_ms: now_ms + i64::from(row.hold_seconds) * 1_000,
        is_closed: row.is_closed,
        outcomes: known_outcomes(event, question.jobs, rows(row.outcomes))?,
        usage: usage(row.usage.map(|Json(rows)| rows).unwrap_or_default()),
        freed: freed(row.freed.map(|Json(rows)| rows).unwrap_or_default(), row.xmin, question.seen),
    }))
}

fn usage(rows: Vec<UsageRow>) -> HashMap<UserId, Usage> {
    let mut usage: HashMap<UserId, Usage> = HashMap::new();
    for (user, booking, is_open, places) in rows {
        let entry = usage.entry(user).or_default();
        entry.places += places;
        if is_open {
            entry.open_booking = Some(booking);
        } else {
            entry.has_closed_booking = true;
        }
    }
    usage
}

fn freed(rows: Vec<FreedRow>, xmin: String, seen: &HashSet<i64>) -> FreedPlaces {
    let mut freed = FreedPlaces { xmin, ..FreedPlaces::default() };
    for (id, seats, areas, slots, is_sold) in rows {
        freed.rows.insert(id);
        if !seen.contains(&id) {
            let places = if is_sold { &mut freed.sold } else { &mut freed.places };
            places.extend(seats.into_iter().map(ClaimedPlace::Seat));
            let slots = areas.into_iter().zip(slots);
            places.extend(slots.map(|(area, at)| ClaimedPlace::Slot(area, slot(at))));
        }
    }
    freed
}
