//! The rows of a batch.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{BatchWrite, Commit};
use crate::domain::{BookingId, Outcome, UserId};
use crate::store::claims::{Fact, append_outbox, delete_expired, place, slot_column};
use crate::store::{ClaimedPlace, Freed, NewNamedJob, StoreError, insert_job, time_of};

/// Locks the bookings that were open before; the ones that are to be new, or `None` when not all are open any more.
pub(super) async fn reopen_bookings(
    tx: &mut PgConnection,
    batch: &BatchWrite<'_>,
) -> Result<Option<HashSet<BookingId>>, StoreError> {
    let (mut new, mut old) = (HashSet::new(), HashSet::new());
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        let known = batch.prepared.usage.get(&job.user).and_then(|usage| usage.open_booking);
        if known == Some(won.booking) {
            old.insert(won.booking.0)
        } else {
            new.insert(won.booking)
        };
    }
    if old.is_empty() {
        return Ok(Some(new));
    }
    let old: Vec<uuid::Uuid> = old.into_iter().collect();
    // Each runs out with what it had before, when that is earlier than what it gets now.
    let open = sqlx::query!(
        "with open as (
             select id, status from bookings where id = any($1) order by id for update
         )
         update bookings b set expires_at = least($2,
             (select min(c.expires_at) from seat_claims c where c.booking_id = b.id),
             (select min(c.expires_at) from area_claims c where c.booking_id = b.id))
         from open where b.id = open.id and open.status = 'created'",
        &old,
        time_of(batch.prepared.expires_at_ms)
    )
    .execute(tx)
    .await?;
    Ok((open.rows_affected() == old.len() as u64).then_some(new))
}

/// Deletes, as the sweeper would, what has run out of the bookings whose places a batch takes over.
pub(super) async fn take_over(
    tx: &mut PgConnection,
    places: &[ClaimedPlace],
) -> Result<Vec<Freed>, StoreError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let (seats, areas, slots) = columns(places);
    let claimed = sqlx::query_scalar!(
        r#"select booking_id as "id!" from seat_claims where seat_id = any($1)
           union
           select c.booking_id from area_claims c
           join unnest($2::bigint[], $3::integer[]) as p (area_id, slot) using (area_id, slot)"#,
        &seats,
        &areas,
        &slots
    )
    .fetch_all(&mut *tx)
    .await?;
    let locked = sqlx::query!(
        r#"select id, status = 'created' as "is_open!" from bookings where id = any($1) order by id for update"#,
        &claimed
    )
    .fetch_all(&mut *tx)
    .await?;
    let bookings: Vec<uuid::Uuid> = locked.into_iter().filter(|row| row.is_open).map(|row| row.id).collect();
    Ok(delete_expired(tx, &bookings).await?.freed)
}

fn columns(places: &[ClaimedPlace]) -> (Vec<i64>, Vec<i64>, Vec<i32>) {
    let (mut seats, mut areas, mut slots) = (Vec::new(), Vec::new(), Vec::new());
    for place in places {
        match place {
            ClaimedPlace::Seat(seat) => seats.push(seat.0),
            ClaimedPlace::Slot(area, slot) => {
                areas.push(area.0);
                slots.push(slot_column(*slot));
            }
        }
    }
    (seats, areas, slots)
}

/// Bookings, outcomes and claims, column by column.
#[derive(Default)]
struct Columns {
    bookings: (Vec<uuid::Uuid>, Vec<i64>),
    numbers: Vec<i64>,
    nonces: Vec<i64>,
    users: Vec<i64>,
    statuses: Vec<String>,
    codes: Vec<Option<String>>,
    results: Vec<Option<String>>,
    /// Of refusals only.
    ips: Vec<Option<String>>,
    may_stand_by: Vec<bool>,
    seats: (Vec<i64>, Vec<uuid::Uuid>, Vec<i64>),
    slots: (Vec<i64>, Vec<i32>, Vec<uuid::Uuid>, Vec<i64>),
}

impl Columns {
    fn of(batch: &BatchWrite<'_>, new: &HashSet<BookingId>) -> Self {
        let mut all = Self::default();
        // In the order of their ids, which is that of their index.
        let mut owners = BTreeMap::new();
        for job in batch.jobs {
            let Some(outcome) = &job.outcome else { continue };
            let user = job.user.0;
            let (code, result, ip) = match outcome {
                Outcome::Completed(won) => {
                    let booking = won.booking.0;
                    if new.contains(&won.booking) {
                        owners.insert(booking, user);
                    }
                    for seat in &won.seats {
                        all.seats.0.push(seat.0);
                        all.seats.1.push(booking);
                        all.seats.2.push(user);
                    }
                    for (area, slot) in &won.slots {
                        all.slots.0.push(area.0);
                        all.slots.1.push(slot_column(*slot));
                        all.slots.2.push(booking);
                        all.slots.3.push(user);
                    }
                    (None, serde_json::to_string(won).ok(), None)
                }
                Outcome::Failed(refusal) => {
                    (Some(refusal.code().to_owned()), None, job.ip.map(|ip| ip.to_string()))
                }
            };
            all.numbers.push(job.number.cast_signed());
            all.nonces.push(job.nonce.cast_signed());
            all.users.push(user);
            all.statuses.push(outcome.word().to_owned());
            all.codes.push(code);
            all.results.push(result);
            all.ips.push(ip);
            all.may_stand_by.push(job.may_stand_by);
        }
        all.bookings = owners.into_iter().unzip();
        all
    }
}

/// Writes everything but the facts, in one statement; `false` when something stands in the way: nothing of this
/// transaction can be kept then.
pub(super) async fn write_rows(
    tx: &mut PgConnection,
    batch: &BatchWrite<'_>,
    new: &HashSet<BookingId>,
) -> Result<bool, StoreError> {
    let all = Columns::of(batch, new);
    let written: Result<_, StoreError> = sqlx::query_file!(
        "src/store/sql/write_batch.sql",
        batch.lease.event.0,
        batch.lease.fence.cast_signed(),
        batch.lease.worker,
        time_of(batch.prepared.expires_at_ms),
        &all.bookings.0,
        &all.bookings.1,
        &all.numbers,
        &all.nonces,
        &all.users,
        &all.statuses,
        &all.codes as &[Option<String>],
        &all.results as &[Option<String>],
        &all.seats.0,
        &all.seats.1,
        &all.seats.2,
        &all.slots.0,
        &all.slots.1,
        &all.slots.2,
        &all.slots.3,
        &all.ips as &[Option<String>],
        batch.prepared.one_booking_each,
        &all.may_stand_by
    )
    .execute(tx)
    .await
    .map_err(StoreError::from);
    match written {
        // An area that is gone takes nobody in.
        Ok(written) => Ok(written.rows_affected() == all.slots.0.len() as u64),
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What stands in the way of a batch that could not be written; it may be gone again. What the batch meant to take over
/// is there again by the rollback, and in nobody's way.
pub(super) async fn in_the_way(
    connection: &mut PgConnection,
    batch: &BatchWrite<'_>,
) -> Result<Commit, StoreError> {
    let mut wanted = Vec::new();
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        wanted.extend(won.seats.iter().map(|seat| ClaimedPlace::Seat(*seat)));
        wanted.extend(won.slots.iter().map(|(area, slot)| ClaimedPlace::Slot(*area, *slot)));
    }
    wanted.retain(|place| !batch.taken_over.contains(place));
    let (seats, areas, slots) = columns(&wanted);
    let taken = sqlx::query!(
        r#"select seat_id as "seat_id?", null::bigint as area_id, null::integer as slot
           from seat_claims where seat_id = any($1)
           union all
           select null, c.area_id, c.slot from area_claims c
           join unnest($2::bigint[], $3::integer[]) as p (area_id, slot) using (area_id, slot)"#,
        &seats,
        &areas,
        &slots
    )
    .fetch_all(connection)
    .await?;
    let taken = taken.into_iter().filter_map(|row| place(row.seat_id, row.area_id, row.slot)).collect();
    Ok(Commit::Conflict { free: Vec::new(), expired: Vec::new(), taken })
}

/// Tells the outside.
pub(super) async fn append_facts(
    tx: &mut PgConnection,
    batch: &BatchWrite<'_>,
    new: &HashSet<BookingId>,
) -> Result<(), StoreError> {
    append_outbox(tx, batch.lease.event, &facts(batch, new)).await
}

fn facts(batch: &BatchWrite<'_>, new: &HashSet<BookingId>) -> Vec<Fact> {
    let mut told = HashSet::new();
    let mut facts = Vec::with_capacity(batch.jobs.len() * 2);
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        if new.contains(&won.booking) && told.insert(won.booking) {
            facts.push(Fact::of_whole_booking("booking.created", won.booking, job.user, job.ip));
        }
        facts.push(Fact::of_booking("seat.selected", won.booking, job.user, &won.seats, &won.slots));
    }
    facts
}

/// The queue of bookings that cost nothing and are bought at once.
pub const FREE_BOOKINGS: &str = "free_bookings";

/// A job of that queue: buy a booking for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuyFreeBooking {
    /// The booking.
    pub booking: BookingId,
    /// Whose it is.
    pub user: UserId,
    /// From where they asked for it; what was written by an earlier version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

/// Writes the jobs that buy what was won.
pub(super) async fn buy_free_bookings(
    tx: &mut PgConnection,
    batch: &BatchWrite<'_>,
) -> Result<(), StoreError> {
    let mut bought = HashSet::new();
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        if bought.insert(won.booking) {
            let payload = BuyFreeBooking { booking: won.booking, user: job.user, ip: job.ip };
            insert_job(tx, &NewNamedJob { queue: FREE_BOOKINGS, lane: 0, payload, run_at: None }).await?;
        }
    }
    Ok(())
}
