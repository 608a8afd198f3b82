//! The transaction of a batch: what a worker reads before it decides, and what it writes.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;

use super::claims::{Fact, Why, append_outbox, delete_expired, freed_since, record_freed, slot, slot_column};
use super::{ClaimedPlace, Freed, FreedPlaces, Store, StoreError, time_of};
use crate::domain::{AreaId, BookingId, EventId, Outcome, SeatId, UserId};
use crate::queue::claim::Lease;

/// Rows of expired reservations looked at under the lock, at most; the sweeper has the rest within a second.
const EXPIRED_AT_MOST: i64 = 5_000;

/// What a shopper has at the event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Their open booking.
    pub open_booking: Option<BookingId>,
    /// Places, in whatever booking, held or sold.
    pub places: u32,
}

/// What is read before a batch is decided. It holds under the lane's lock if the version still does.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Rises with every batch of this event.
    pub version: i64,
    /// The layout that decisions must be made on.
    pub layout_version: u32,
    /// Places one shopper may have.
    pub seat_limit: u32,
    /// PostgreSQL's clock, ms since 1970.
    pub now_ms: i64,
    /// Until when a reservation made now holds, ms since 1970.
    pub expires_at_ms: i64,
    /// The sale is over, or has not begun.
    pub is_closed: bool,
    /// Outcomes of an earlier delivery.
    pub outcomes: HashMap<u64, (UserId, Outcome)>,
    /// By shopper; who is missing has nothing.
    pub usage: HashMap<UserId, Usage>,
    /// What came free since the last look.
    pub freed: FreedPlaces,
}

/// One job of a batch, as it is written.
#[derive(Debug, Clone)]
pub struct JobWrite {
    /// Its number.
    pub number: u64,
    /// Its nonce.
    pub nonce: u64,
    /// Whose it is.
    pub user: UserId,
    /// How it ends; `None` when it stands by, which is not written.
    pub outcome: Option<Outcome>,
}

/// A batch as it is written.
#[derive(Debug)]
pub struct BatchWrite<'a> {
    /// The right to write it.
    pub lease: &'a Lease,
    /// What it was decided on.
    pub prepared: &'a Prepared,
    /// The jobs, in order.
    pub jobs: &'a [JobWrite],
    /// Seats that were believed taken before this batch, and for which jobs were refused.
    pub refused_seats: Vec<SeatId>,
    /// Somebody was refused or stands by for want of places: look once more whether there are none.
    pub is_short: bool,
    /// Places taken over from reservations that have run out.
    pub taken_over: Vec<ClaimedPlace>,
    /// Places that were known to have run out when this was decided: finding them so again is no news.
    pub known_expired: HashSet<ClaimedPlace>,
    /// Shoppers refused for their limit.
    pub limited: Vec<UserId>,
}

/// What became of it. Only `Done` wrote anything.
#[derive(Debug)]
pub enum Commit {
    /// Everything stands; these reservations were taken over.
    Done(Vec<Freed>),
    /// Not all is as it was believed: decide anew.
    Conflict {
        /// Places that are free after all.
        free: Vec<ClaimedPlace>,
        /// Of those, the ones with a claim that has run out.
        expired: Vec<ClaimedPlace>,
        /// Places that are not.
        taken: Vec<ClaimedPlace>,
    },
    /// A newer lease has written here.
    Stale {
        /// Its fence.
        fence: u64,
    },
}

impl Commit {
    fn conflict() -> Self {
        Self::Conflict { free: Vec::new(), expired: Vec::new(), taken: Vec::new() }
    }
}

impl Store {
    /// Reads what a batch (numbers and nonces) is decided on. `None` when the event is gone.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn prepare_batch(
        &self,
        event: EventId,
        jobs: &[(u64, u64)],
        users: &[UserId],
        xmin: &str,
        seen: &HashSet<i64>,
    ) -> Result<Option<Prepared>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let Some(row) = sqlx::query!(
            r#"select coalesce(l.version, 0) as "version!", e.layout_version, e.seat_limit, e.hold_seconds,
                   clock_timestamp() as "now!",
                   clock_timestamp() not between e.sales_open_at and e.sales_close_at as "is_closed!"
               from events e left join lanes l on l.event_id = e.id where e.id = $1"#,
            event.0
        )
        .fetch_optional(&mut *connection)
        .await?
        else {
            return Ok(None);
        };
        let freed = freed_since(&mut connection, event, xmin, seen).await?;
        let usage = usage(&mut connection, event, users).await?;
        drop(connection);
        let now_ms = row.now.timestamp_millis();
        Ok(Some(Prepared {
            version: row.version,
            layout_version: u32::try_from(row.layout_version).unwrap_or(0),
            seat_limit: u32::try_from(row.seat_limit).unwrap_or(0),
            now_ms,
            expires_at_ms: now_ms + i64::from(row.hold_seconds) * 1_000,
            is_closed: row.is_closed,
            outcomes: self.outcomes(event, jobs).await?,
            usage,
            freed,
        }))
    }

    /// Writes a batch in one transaction, if the lease is the newest and everything is still as it was read.
    ///
    /// # Errors
    /// PostgreSQL is away, or refuses a row; nothing is written then.
    pub async fn commit_batch(&self, batch: &BatchWrite<'_>) -> Result<Commit, StoreError> {
        let (event, prepared) = (batch.lease.event, batch.prepared);
        let mut tx = self.pool.begin().await?;
        if let Some(refused) = check_fence(&mut tx, batch.lease, prepared.version).await? {
            return Ok(refused);
        }
        if let Some(conflict) = check_refusals(&mut tx, event, batch).await? {
            return Ok(conflict);
        }
        let (new_bookings, is_open) = open_bookings(&mut tx, event, batch).await?;
        if !is_open {
            return Ok(Commit::conflict());
        }
        let taken_over = take_over(&mut tx, &batch.taken_over).await?;
        if !insert_outcomes(&mut tx, event, batch.jobs).await? {
            return Ok(Commit::conflict());
        }
        let taken = insert_claims(&mut tx, event, batch).await?;
        if !taken.is_empty() {
            return Ok(Commit::Conflict { free: Vec::new(), expired: Vec::new(), taken });
        }
        // Only now, with the new claims in place: a booking that was emptied and filled again stays open.
        record_freed(&mut tx, &taken_over, Why::Expired).await?;
        append_outbox(&mut tx, event, facts(batch, &new_bookings)).await?;
        sqlx::query!(
            "update lanes set fence = $2, holder = $3, version = version + 1 where event_id = $1",
            event.0,
            batch.lease.fence.cast_signed(),
            batch.lease.worker
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Commit::Done(taken_over))
    }
}

async fn usage(
    connection: &mut PgConnection,
    event: EventId,
    users: &[UserId],
) -> Result<HashMap<UserId, Usage>, StoreError> {
    let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"select b.user_id, b.id, b.status,
               (select count(*) from seat_claims c where c.booking_id = b.id
                    and (c.status = 'sold' or c.expires_at > clock_timestamp()))
               + (select count(*) from area_claims c where c.booking_id = b.id
                    and (c.status = 'sold' or c.expires_at > clock_timestamp())) as "places!"
           from bookings b
           where b.user_id = any($2) and b.event_id = $1 and b.status in ('created', 'pending_payment', 'paid')"#,
        event.0,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut usage: HashMap<UserId, Usage> = HashMap::new();
    for row in rows {
        let entry = usage.entry(UserId(row.user_id)).or_default();
        entry.places += u32::try_from(row.places).unwrap_or(0);
        if row.status == "created" {
            entry.open_booking = Some(BookingId(row.id));
        }
    }
    Ok(usage)
}

/// Locks the lane's row and holds the lease against it.
async fn check_fence(
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
async fn check_refusals(
    tx: &mut PgConnection,
    event: EventId,
    batch: &BatchWrite<'_>,
) -> Result<Option<Commit>, StoreError> {
    let (mut free, mut expired) = (Vec::new(), Vec::new());
    if batch.is_short {
        let freed = &batch.prepared.freed;
        free.extend(freed_since(tx, event, &freed.xmin, &freed.rows).await?.places);
        let run_out = expired_places(tx, event).await?;
        expired.extend(run_out.into_iter().filter(|place| !batch.known_expired.contains(place)));
    }
    if !batch.refused_seats.is_empty() {
        let ids: Vec<i64> = batch.refused_seats.iter().map(|seat| seat.0).collect();
        let rows = sqlx::query!(
            r#"select wanted.id as "seat!", c.seat_id is not null as "is_expired!"
               from unnest($1::bigint[]) as wanted (id)
               join seats s on s.id = wanted.id and s.event_id = $2
               left join seat_claims c on c.seat_id = wanted.id
               where c.seat_id is null or (c.status = 'reserved' and c.expires_at <= clock_timestamp())"#,
            &ids,
            event.0
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in rows {
            let place = ClaimedPlace::Seat(SeatId(row.seat));
            if !row.is_expired {
                free.push(place);
            } else if !batch.known_expired.contains(&place) {
                expired.push(place);
            }
        }
    }
    if !batch.limited.is_empty() {
        let now = usage(tx, event, &batch.limited).await?;
        let is_less = batch.limited.iter().any(|user| {
            let places = |usage: &HashMap<UserId, Usage>| usage.get(user).map_or(0, |usage| usage.places);
            places(&now) < places(&batch.prepared.usage)
        });
        if is_less {
            return Ok(Some(Commit::Conflict { free, expired, taken: Vec::new() }));
        }
    }
    let is_wrong = !free.is_empty() || !expired.is_empty();
    Ok(is_wrong.then(|| Commit::Conflict { free, expired, taken: Vec::new() }))
}

/// Reservations of an event that have run out and that nobody has swept yet.
async fn expired_places(tx: &mut PgConnection, event: EventId) -> Result<Vec<ClaimedPlace>, StoreError> {
    let seats = sqlx::query_scalar!(
        "select c.seat_id from seat_claims c join bookings b on b.id = c.booking_id and b.status = 'created'
         where c.event_id = $1 and c.status = 'reserved' and c.expires_at <= clock_timestamp() limit $2",
        event.0,
        EXPIRED_AT_MOST
    )
    .fetch_all(&mut *tx)
    .await?;
    let slots = sqlx::query!(
        "select c.area_id, c.slot from area_claims c
         join bookings b on b.id = c.booking_id and b.status = 'created'
         where c.event_id = $1 and c.status = 'reserved' and c.expires_at <= clock_timestamp() limit $2",
        event.0,
        EXPIRED_AT_MOST
    )
    .fetch_all(tx)
    .await?;
    let seats = seats.into_iter().map(|seat| ClaimedPlace::Seat(SeatId(seat)));
    let slots = slots.into_iter().map(|row| ClaimedPlace::Slot(AreaId(row.area_id), slot(row.slot)));
    Ok(seats.chain(slots).collect())
}

/// Deletes, as the sweeper would, what has run out of the bookings whose places a batch takes over.
async fn take_over(tx: &mut PgConnection, places: &[ClaimedPlace]) -> Result<Vec<Freed>, StoreError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let (seats, areas, slots) = columns(places);
    let bookings = sqlx::query_scalar!(
        "select id from bookings
         where status = 'created' and id in (
             select booking_id from seat_claims where seat_id = any($1)
             union
             select c.booking_id from area_claims c
             join unnest($2::bigint[], $3::integer[]) as p (area_id, slot) using (area_id, slot))
         order by id for update",
        &seats,
        &areas,
        &slots
    )
    .fetch_all(&mut *tx)
    .await?;
    delete_expired(tx, &bookings).await
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

/// One row a job; false when one of them has an outcome already.
async fn insert_outcomes(
    tx: &mut PgConnection,
    event: EventId,
    jobs: &[JobWrite],
) -> Result<bool, StoreError> {
    let (mut numbers, mut nonces, mut users) = (Vec::new(), Vec::new(), Vec::new());
    let (mut words, mut codes, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for job in jobs {
        let Some(outcome) = &job.outcome else { continue };
        let (code, result) = match outcome {
            Outcome::Completed(won) => (None, serde_json::to_string(won).ok()),
            Outcome::Failed(refusal) => (Some(refusal.code().to_owned()), None),
        };
        numbers.push(job.number.cast_signed());
        nonces.push(job.nonce.cast_signed());
        users.push(job.user.0);
        words.push(outcome.word().to_owned());
        codes.push(code);
        results.push(result);
    }
    let written = sqlx::query!(
        "insert into job_outcomes (event_id, number, nonce, user_id, status, code, result)
         select $1, number, nonce, user_id, status, code, result::jsonb
         from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
             as o (number, nonce, user_id, status, code, result)
         on conflict (event_id, number) do nothing",
        event.0,
        &numbers,
        &nonces,
        &users,
        &words,
        &codes as &[Option<String>],
        &results as &[Option<String>]
    )
    .execute(tx)
    .await?;
    Ok(written.rows_affected() == numbers.len() as u64)
}

/// Inserts new bookings and locks those that were open before; which were new, and whether all are open.
async fn open_bookings(
    tx: &mut PgConnection,
    event: EventId,
    batch: &BatchWrite<'_>,
) -> Result<(HashSet<BookingId>, bool), StoreError> {
    let (mut new, mut old) = (HashMap::new(), HashSet::new());
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        let known = batch.prepared.usage.get(&job.user).and_then(|usage| usage.open_booking);
        if known == Some(won.booking) {
            old.insert(won.booking.0);
        } else {
            new.insert(won.booking.0, job.user.0);
        }
    }
    let old: Vec<uuid::Uuid> = old.into_iter().collect();
    if !old.is_empty() {
        let open = sqlx::query!(
            "with open as (
                 select id from bookings where id = any($1) and status = 'created' order by id for update
             )
             update bookings set expires_at = null from open where bookings.id = open.id",
            &old
        )
        .execute(&mut *tx)
        .await?;
        if open.rows_affected() != old.len() as u64 {
            return Ok((HashSet::new(), false));
        }
    }
    let (ids, users): (Vec<uuid::Uuid>, Vec<i64>) = new.into_iter().unzip();
    let inserted = sqlx::query!(
        "insert into bookings (id, event_id, user_id)
         select id, $1, user_id from unnest($2::uuid[], $3::bigint[]) as b (id, user_id)
         on conflict (event_id, user_id) where status = 'created' do nothing",
        event.0,
        &ids,
        &users
    )
    .execute(tx)
    .await?;
    let is_open = inserted.rows_affected() == ids.len() as u64;
    Ok((ids.into_iter().map(BookingId).collect(), is_open))
}

/// Claims every place that was won; those that somebody else has.
async fn insert_claims(
    tx: &mut PgConnection,
    event: EventId,
    batch: &BatchWrite<'_>,
) -> Result<Vec<ClaimedPlace>, StoreError> {
    let (mut seats, mut slots) = (Vec::new(), Vec::new());
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        seats.extend(won.seats.iter().map(|seat| (seat.0, won.booking.0, job.user.0)));
        slots.extend(
            won.slots.iter().map(|(area, slot)| (area.0, slot_column(*slot), won.booking.0, job.user.0)),
        );
    }
    let expires_at = time_of(batch.prepared.expires_at_ms);
    let mut taken = Vec::new();
    if !seats.is_empty() {
        let ids: Vec<i64> = seats.iter().map(|seat| seat.0).collect();
        let bookings: Vec<uuid::Uuid> = seats.iter().map(|seat| seat.1).collect();
        let users: Vec<i64> = seats.iter().map(|seat| seat.2).collect();
        let claimed: HashSet<i64> = sqlx::query_scalar!(
            "insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
             select seat_id, $1, booking_id, user_id, 'reserved', $2
             from unnest($3::bigint[], $4::uuid[], $5::bigint[]) as c (seat_id, booking_id, user_id)
             on conflict (seat_id) do nothing returning seat_id",
            event.0,
            expires_at,
            &ids,
            &bookings,
            &users
        )
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        taken.extend(ids.iter().filter(|id| !claimed.contains(id)).map(|id| ClaimedPlace::Seat(SeatId(*id))));
    }
    if !slots.is_empty() {
        let areas: Vec<i64> = slots.iter().map(|slot| slot.0).collect();
        let numbers: Vec<i32> = slots.iter().map(|slot| slot.1).collect();
        let bookings: Vec<uuid::Uuid> = slots.iter().map(|slot| slot.2).collect();
        let users: Vec<i64> = slots.iter().map(|slot| slot.3).collect();
        let claimed: HashSet<(i64, i32)> = sqlx::query!(
            "insert into area_claims (area_id, slot, capacity, event_id, booking_id, user_id, status, expires_at)
             select c.area_id, c.slot, a.capacity, $1, c.booking_id, c.user_id, 'reserved', $2
             from unnest($3::bigint[], $4::integer[], $5::uuid[], $6::bigint[])
                 as c (area_id, slot, booking_id, user_id)
             join areas a on a.id = c.area_id
             on conflict (area_id, slot) do nothing returning area_id, slot",
            event.0,
            expires_at,
            &areas,
            &numbers,
            &bookings,
            &users
        )
        .fetch_all(tx)
        .await?
        .into_iter()
        .map(|row| (row.area_id, row.slot))
        .collect();
        let all = areas.into_iter().zip(numbers);
        let lost = all.filter(|place| !claimed.contains(place));
        taken.extend(lost.map(|(area, at)| ClaimedPlace::Slot(AreaId(area), slot(at))));
    }
    Ok(taken)
}

fn facts(batch: &BatchWrite<'_>, new: &HashSet<BookingId>) -> Vec<Fact> {
    let mut told = HashSet::new();
    let mut facts = Vec::with_capacity(batch.jobs.len() * 2);
    for job in batch.jobs {
        let Some(Outcome::Completed(won)) = &job.outcome else { continue };
        if new.contains(&won.booking) && told.insert(won.booking) {
            facts.push(Fact::of_booking("booking.created", won.booking, job.user, &[], &[]));
        }
        facts.push(Fact::of_booking("seat.selected", won.booking, job.user, &won.seats, &won.slots));
    }
    facts
}
