//! What must still hold under the lock of the lane.

use sqlx::PgConnection;

use super::read::{Question, read_batch};
use super::{BatchWrite, Commit};
use crate::domain::{EventId, SeatId};
use crate::queue::claim::Lease;
use crate::store::claims::place;
use crate::store::{ClaimedPlace, StoreError};

/// Rows of expired reservations looked at under the lock, at most; the sweeper has the rest within a second.
const EXPIRED_AT_MOST: i64 = 5_000;

/// Locks the lane's row and holds the lease against it.
pub(super) async fn check_fence(
    tx: &mut PgConnection,
    lease: &Lease,
    version: i64,
) -> Result<Option<Commit>, StoreError> {
    let select = || {
        sqlx::query!("select fence, holder, version from lanes where event_id = $1 for update", lease.event.0)
    };
    let row = match select().fetch_optional(&mut *tx).await? {
        Some(row) => row,
        None => {
            sqlx::query!("insert into lanes (event_id) values ($1) on conflict do nothing", lease.event.0)
                .execute(&mut *tx)
                .await?;
            select().fetch_one(&mut *tx).await?
        }
    };
    let stored = row.fence.cast_unsigned();
    if lease.fence < stored || (lease.fence == stored && row.holder != lease.worker) {
        return Ok(Some(Commit::Stale { fence: stored }));
    }
    Ok((row.version != version).then(Commit::conflict))
}

/// A refusal is only good when it is true under the lock.
pub(super) async fn check_refusals(
    tx: &mut PgConnection,
    batch: &BatchWrite<'_>,
) -> Result<Option<Commit>, StoreError> {
    let (event, prepared) = (batch.lease.event, batch.prepared);
    let (mut free, mut expired) = (Vec::new(), Vec::new());
    let is_news = |place: &ClaimedPlace| !batch.known_expired.contains(place);
    let mut is_less_used = false;
    if batch.is_short || !batch.limited.is_empty() {
        let question = Question {
            jobs: &[],
            users: &batch.limited,
            xmin: &prepared.freed.xmin,
            seen: &prepared.freed.rows,
        };
        let Some(now) = read_batch(tx, event, &question).await? else { return Ok(Some(Commit::conflict())) };
        is_less_used = batch.limited.iter().any(|user| now.places_of(*user) < prepared.places_of(*user));
        if batch.is_short {
            free.extend(now.freed.places);
            expired.extend(expired_places(tx, event).await?.into_iter().filter(is_news));
        }
    }
    if !batch.refused_seats.is_empty() {
        let ids: Vec<i64> = batch.refused_seats.iter().map(|seat| seat.0).collect();
        let rows = sqlx::query!(
            r#"select wanted.id as "seat!", c.seat_id is not null as "is_expired!"
               from unnest($1::bigint[]) as wanted (id)
               join seats s on s.id = wanted.id and s.event_id = $2
               left join seat_claims c on c.seat_id = wanted.id
               left join bookings b on b.id = c.booking_id
               where c.seat_id is null
                   or (c.status = 'reserved' and c.expires_at <= clock_timestamp() and b.status = 'created')"#,
            &ids,
            event.0
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            let place = ClaimedPlace::Seat(SeatId(row.seat));
            if !row.is_expired {
                free.push(place);
            } else if is_news(&place) {
                expired.push(place);
            }
        }
    }
    let is_wrong = is_less_used || !free.is_empty() || !expired.is_empty();
    Ok(is_wrong.then(|| Commit::Conflict { free, expired, taken: Vec::new() }))
}

/// Reservations of an event that have run out and that nobody has swept yet.
async fn expired_places(tx: &mut PgConnection, event: EventId) -> Result<Vec<ClaimedPlace>, StoreError> {
    let rows =
        sqlx::query_file!("src/store/sql/expired_places.sql", event.0, EXPIRED_AT_MOST).fetch_all(tx).await?;
    Ok(rows.into_iter().filter_map(|row| place(row.seat_id, row.area_id, row.slot)).collect())
}
