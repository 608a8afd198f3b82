//! Carts: made, listed, emptied and cancelled at once, without the queue.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Transaction};

use super::claims::{Fact, Why, append_outbox, record_freed, slot, slot_column};
use super::{ClaimedPlace, Emptied, Freed, Store, StoreError};
use crate::domain::{AreaId, BookingId, EventId, Money, SeatId, UserId};

/// A booking with what is in it.
#[derive(Debug, Clone)]
pub struct BookingRecord {
    /// Its id.
    pub id: BookingId,
    /// For which event.
    pub event: EventId,
    /// Whose it is.
    pub user: UserId,
    /// `created`, `pending_payment`, `paid`, `cancelled`, `expired`.
    pub status: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What is in it, and has not run out.
    pub claims: Vec<ClaimRecord>,
}

/// A place in a booking.
#[derive(Debug, Clone)]
pub struct ClaimRecord {
    /// Which.
    pub place: ClaimedPlace,
    /// Until when it is held; `None` once it is sold.
    pub expires_at: Option<DateTime<Utc>>,
    /// What it costs: now, or in its order once there is one; `None` when the place is no longer there.
    pub price: Option<Money>,
}

/// A booking that was changed, and what came free by it.
#[derive(Debug)]
pub struct Closed {
    /// As it is now.
    pub booking: BookingRecord,
    /// To tell others.
    pub freed: Vec<Freed>,
}

/// How often a booking is opened while another one of the shopper is being closed.
const OPENINGS: u32 = 20;
const OPEN_AGAIN: Duration = Duration::from_millis(50);

/// A booking that is open now.
#[derive(Debug)]
pub struct Opened {
    /// As it is now.
    pub booking: BookingRecord,
    /// It was made just now.
    pub is_new: bool,
    /// What had run out of it, to tell others.
    pub freed: Vec<Freed>,
}

impl Store {
    /// PostgreSQL's clock.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&self.pool).await?)
    }

    /// Opens a booking, or finds the one that is open; true when it is new. What has run out of an open one is
    /// released before, as the sweeper would. From where it was asked for is told with it.
    ///
    /// # Errors
    /// PostgreSQL is away, or there is no such event.
    pub async fn open_booking(
        &self,
        event: EventId,
        user: UserId,
        ip: Option<IpAddr>,
    ) -> Result<Opened, StoreError> {
        for _ in 0..OPENINGS {
            if let Some(opened) = self.try_open(event, user, ip).await? {
                return Ok(opened);
            }
            // Somebody is closing the one that ran out just now.
            tokio::time::sleep(OPEN_AGAIN).await;
        }
        Err(StoreError::Late(OPEN_AGAIN * OPENINGS))
    }

    async fn try_open(
        &self,
        event: EventId,
        user: UserId,
        ip: Option<IpAddr>,
    ) -> Result<Option<Opened>, StoreError> {
        let run_out = sqlx::query_scalar!(
            "select id from bookings
             where event_id = $1 and user_id = $2 and status = 'created' and expires_at <= clock_timestamp()",
            event.0,
            user.0
        )
        .fetch_optional(&self.pool)
        .await?;
        let freed = match run_out {
            Some(id) => self.release_expired(&[BookingId(id)], Emptied::Close).await?.freed,
            None => Vec::new(),
        };
        let mut tx = self.begin().await?;
        let inserted = sqlx::query_scalar!(
            "insert into bookings (id, event_id, user_id, expires_at, is_only)
             select $1, e.id, $3, clock_timestamp() + make_interval(secs => e.hold_seconds), e.one_booking_each
             from events e where e.id = $2
             on conflict (
                 user_id, event_id,
                 (case when status = 'created' then '00000000-0000-0000-0000-000000000000'::uuid else id end)
             ) do nothing
             returning id",
            BookingId::new().0,
            event.0,
            user.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(id) = inserted {
            let fact = Fact::of_whole_booking("booking.created", BookingId(id), user, ip);
            append_outbox(&mut tx, event, &[fact]).await?;
        }
        tx.commit().await?;
        let mut bookings = self.bookings(user, Some(event), None).await?;
        bookings.retain(|booking| booking.status == "created");
        Ok(bookings.pop().map(|booking| Opened { booking, is_new: inserted.is_some(), freed }))
    }

    /// The latest bookings of somebody, newest first: all, those of one event, or one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn bookings(
        &self,
        user: UserId,
        event: Option<EventId>,
        only: Option<BookingId>,
    ) -> Result<Vec<BookingRecord>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        read_bookings(&mut connection, user, event, only, None).await
    }

    /// The carts of somebody: what is open, and has not lapsed.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn cart(&self, user: UserId) -> Result<Vec<BookingRecord>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let mut bookings = read_bookings(&mut connection, user, None, None, Some("created")).await?;
        bookings.retain(|booking| !booking.claims.is_empty());
        Ok(bookings)
    }

    /// Takes one place out of somebody's open booking. `None` when no open booking of theirs has it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn release_place(
        &self,
        user: UserId,
        place: ClaimedPlace,
    ) -> Result<Option<Closed>, StoreError> {
        let mut tx = self.begin().await?;
        let booking = match place {
            ClaimedPlace::Seat(seat) => {
                sqlx::query_scalar!(
                    "select b.id from bookings b join seat_claims c on c.booking_id = b.id
                     where c.seat_id = $1 and b.user_id = $2 and b.status = 'created' for update of b",
                    seat.0,
                    user.0
                )
                .fetch_optional(&mut *tx)
                .await?
            }
            ClaimedPlace::Slot(area, slot) => {
                sqlx::query_scalar!(
                    "select b.id from bookings b join area_claims c on c.booking_id = b.id
                     where c.area_id = $1 and c.slot = $2 and b.user_id = $3 and b.status = 'created'
                     for update of b",
                    area.0,
                    slot_column(slot),
                    user.0
                )
                .fetch_optional(&mut *tx)
                .await?
            }
        };
        let Some(booking) = booking.map(BookingId) else { return Ok(None) };
        let mut freed = delete_claims(&mut tx, booking, Some(place)).await?;
        if freed.is_empty() {
            return Ok(None);
        }
        record_freed(&mut tx, &freed, &[], Why::Released).await?;
        self.finish(tx, user, booking, &mut freed).await.map(Some)
    }

    /// Cancels somebody's open booking. `None` when it is not theirs; a booking that is closed already stays
    /// as it is and frees nothing. From where that was asked for is told with it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn cancel_booking(
        &self,
        user: UserId,
        booking: BookingId,
        ip: Option<IpAddr>,
    ) -> Result<Option<Closed>, StoreError> {
        let mut tx = self.begin().await?;
        let Some(row) = sqlx::query!(
            "select event_id, status from bookings where id = $1 and user_id = $2 for update",
            booking.0,
            user.0
        )
        .fetch_optional(&mut *tx)
        .await?
        else {
            return Ok(None);
        };
        let mut freed = Vec::new();
        if row.status == "created" {
            freed = delete_claims(&mut tx, booking, None).await?;
            sqlx::query!(
                "update bookings set status = 'cancelled', closed_at = clock_timestamp() where id = $1",
                booking.0
            )
            .execute(&mut *tx)
            .await?;
            record_freed(&mut tx, &freed, &[], Why::Released).await?;
            let fact = Fact::of_whole_booking("booking.cancelled", booking, user, ip);
            append_outbox(&mut tx, EventId(row.event_id), &[fact]).await?;
        }
        self.finish(tx, user, booking, &mut freed).await.map(Some)
    }

    async fn finish(
        &self,
        mut tx: Transaction<'_, Postgres>,
        user: UserId,
        booking: BookingId,
        freed: &mut Vec<Freed>,
    ) -> Result<Closed, StoreError> {
        let now = read_bookings(&mut tx, user, None, Some(booking), None).await?.pop();
        tx.commit().await?;
        let booking = now.ok_or(StoreError::Row("a booking just changed"))?;
        Ok(Closed { booking, freed: std::mem::take(freed) })
    }
}

/// Deletes one reserved place of a booking, or all of them.
async fn delete_claims(
    connection: &mut PgConnection,
    booking: BookingId,
    only: Option<ClaimedPlace>,
) -> Result<Vec<Freed>, StoreError> {
    let (seat, area) = match only {
        None => (None, None),
        Some(ClaimedPlace::Seat(seat)) => (Some(seat.0), None),
        Some(ClaimedPlace::Slot(area, slot)) => (None, Some((area.0, slot_column(slot)))),
    };
    let seats = sqlx::query!(
        "delete from seat_claims
         where booking_id = $1 and status = 'reserved' and ($2::bigint is null or seat_id = $2) and not $3
         returning seat_id, event_id, user_id",
        booking.0,
        seat,
        area.is_some()
    )
    .fetch_all(&mut *connection)
    .await?;
    let slots = sqlx::query!(
        "delete from area_claims
         where booking_id = $1 and status = 'reserved' and not $4
             and ($2::bigint is null or (area_id = $2 and slot = $3))
         returning area_id, slot, event_id, user_id",
        booking.0,
        area.map(|(area, _)| area),
        area.map(|(_, slot)| slot),
        seat.is_some()
    )
    .fetch_all(connection)
    .await?;
    let seats = seats.into_iter().map(|row| Freed {
        event: EventId(row.event_id),
        booking,
        user: UserId(row.user_id),
        place: ClaimedPlace::Seat(SeatId(row.seat_id)),
    });
    let slots = slots.into_iter().map(|row| Freed {
        event: EventId(row.event_id),
        booking,
        user: UserId(row.user_id),
        place: ClaimedPlace::Slot(AreaId(row.area_id), slot(row.slot)),
    });
    Ok(seats.chain(slots).collect())
}

fn price(minor: Option<i64>, currency: Option<String>) -> Option<Money> {
    Some(Money { amount: minor?, currency: currency? })
}

/// Bookings that one answer holds at most.
const PAGE: i64 = 100;

async fn read_bookings(
    connection: &mut PgConnection,
    user: UserId,
    event: Option<EventId>,
    only: Option<BookingId>,
    status: Option<&str>,
) -> Result<Vec<BookingRecord>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, event_id, created_at, status,
               status = 'created' and expires_at <= clock_timestamp() as "has_run_out!"
           from bookings
           where user_id = $1 and ($2::bigint is null or event_id = $2) and ($3::uuid is null or id = $3)
               and ($4::text is null or status = $4)
           order by created_at desc, id desc limit $5"#,
        user.0,
        event.map(|event| event.0),
        only.map(|only| only.0),
        status,
        PAGE
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.id).collect();
    // What is being paid for is kept until its order is closed, whatever the clock says.
    let paying: Vec<uuid::Uuid> =
        rows.iter().filter(|row| row.status == "pending_payment").map(|row| row.id).collect();
    let seats =
        sqlx::query_file!("src/store/sql/held_seats.sql", &ids, &paying).fetch_all(&mut *connection).await?;
    let slots =
        sqlx::query_file!("src/store/sql/held_slots.sql", &ids, &paying).fetch_all(connection).await?;
    let run_out: HashSet<uuid::Uuid> = rows.iter().filter(|row| row.has_run_out).map(|row| row.id).collect();
    let mut bookings: Vec<BookingRecord> = rows
        .into_iter()
        .map(|row| BookingRecord {
            id: BookingId(row.id),
            event: EventId(row.event_id),
            user,
            status: row.status,
            created_at: row.created_at,
            claims: Vec::new(),
        })
        .collect();
    let seats = seats.into_iter().map(|row| {
        let place = ClaimedPlace::Seat(SeatId(row.seat_id));
        (row.booking_id, place, row.expires_at, price(row.price_minor, row.currency))
    });
    let slots = slots.into_iter().map(|row| {
        let place = ClaimedPlace::Slot(AreaId(row.area_id), slot(row.slot));
        (row.booking_id, place, row.expires_at, price(row.price_minor, row.currency))
    });
    for (booking, place, expires_at, price) in seats.chain(slots) {
        if let Some(booking) = bookings.iter_mut().find(|known| known.id.0 == booking) {
            booking.claims.push(ClaimRecord { place, expires_at, price });
        }
    }
    // What has run out and holds nothing is expired, whether or not the sweeper has been there.
    for booking in bookings.iter_mut().filter(|one| run_out.contains(&one.id.0) && one.claims.is_empty()) {
        "expired".clone_into(&mut booking.status);
    }
    Ok(bookings)
}
