//! An area of an event that is on sale gets another capacity.
//!
//! A larger one is there at once. A smaller one is noted at once (`areas.cut_to`), under the lock of the lane's row and with
//! a new version of lane and layout: from then on nobody gets a place above it. Whatever is taken there is then taken away
//! some at a time, each part a transaction of its own, so that thousands of sold places hold up nobody, and whoever is
//! interrupted is followed by the sweeper. The capacity itself follows when the last one is gone.

use sqlx::PgConnection;
use uuid::Uuid;

use super::events::lock_event;
use super::places::{Claim, RemovedPlace, lock_bookings, settle};
use super::{By, allow_time, audit, column, raise_layout};
use crate::domain::{AreaId, BookingId, EventId, UserId};
use crate::store::claims::slot;
use crate::store::{ClaimedPlace, Store, StoreError};

/// Places that are looked at in one transaction; the bookings that have them lose all they have above the new capacity.
const PLACES: i64 = 200;

/// What became of giving an area another capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resizing {
    /// Nobody gets a place above it any more; those who have one are still to be told.
    Begun,
    /// There is no such event or area of it.
    NotFound,
    /// Somebody is paying for a place that would go.
    BeingPaid,
}

/// A part of the places above an area's new capacity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// They are gone.
    pub removed: Vec<RemovedPlace>,
    /// So many are still taken. Those that are being paid for wait until that is over.
    pub left: u64,
}

impl Store {
    /// Begins to give an area another capacity; [`Self::cut_area`] goes on where it is a smaller one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn resize_area(
        &self,
        event: EventId,
        area: AreaId,
        capacity: u32,
        by: &By,
    ) -> Result<Resizing, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        if !lock_event(&mut tx, event).await? {
            return Ok(Resizing::NotFound);
        }
        let is_paying = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from area_claims c join bookings b on b.id = c.booking_id
                   where c.area_id = $1 and c.slot > $2 and b.status = 'pending_payment'
               ) as "is_paying!""#,
            area.0,
            column(capacity)
        );
        if is_paying.fetch_one(&mut *tx).await? {
            return Ok(Resizing::BeingPaid);
        }
        let resized = sqlx::query!(
            "update areas set capacity = greatest(capacity, $3), cut_to = case when capacity > $3 then $3 end
             where id = $1 and event_id = $2",
            area.0,
            event.0,
            column(capacity)
        );
        if resized.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(Resizing::NotFound);
        }
        raise_layout(&mut tx, event).await?;
        let object = format!("area {area} of event {event} to {capacity}");
        audit(&mut tx, by, "event.resize_area", &object).await?;
        tx.commit().await?;
        Ok(Resizing::Begun)
    }

    /// Takes some of the places away that are above an area's new capacity, as [`Self::remove_seats`] does. Safe to repeat,
    /// and to be done by two at once; when nothing is left the capacity is the new one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn cut_area(&self, event: EventId, area: AreaId) -> Result<Cut, StoreError> {
        let mut tx = self.begin().await?;
        // Not for others who claim places below, only for whoever else changes the area.
        let cut_to = sqlx::query_scalar!(
            r#"select cut_to as "cut_to!" from areas
               where id = $1 and event_id = $2 and cut_to is not null for no key update"#,
            area.0,
            event.0
        );
        let Some(cut_to) = cut_to.fetch_optional(&mut *tx).await? else { return Ok(Cut::default()) };
        let mut bookings = bookings_above(&mut tx, area, cut_to).await?;
        let paying = lock_bookings(&mut tx, &bookings).await?;
        bookings.retain(|booking| !paying.contains(booking));
        let claims = take_slots(&mut tx, area, cut_to, &bookings).await?;
        let left = sqlx::query_scalar!(
            r#"select count(*) as "left!" from area_claims where area_id = $1 and slot > $2"#,
            area.0,
            cut_to
        )
        .fetch_one(&mut *tx)
        .await?
        .unsigned_abs();
        let removed = settle(&mut tx, event, &claims).await?;
        tx.commit().await?;
        if left == 0 {
            self.finish_cut(event, area).await?;
        }
        Ok(Cut { removed, left })
    }

    /// The constraint follows: claims carry their area's capacity, so this takes time with the places that are taken.
    async fn finish_cut(&self, event: EventId, area: AreaId) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        if !lock_event(&mut tx, event).await? {
            return Ok(());
        }
        sqlx::query!(
            "update areas a set capacity = a.cut_to, cut_to = null
             where a.id = $1 and a.event_id = $2 and a.cut_to is not null
                 and not exists (select 1 from area_claims c where c.area_id = a.id and c.slot > a.cut_to)",
            area.0,
            event.0
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Areas whose places are being taken away, so many at most.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn areas_being_cut(&self, at_most: i64) -> Result<Vec<(EventId, AreaId)>, StoreError> {
        let rows = sqlx::query!(
            "select event_id, id from areas where cut_to is not null order by id limit $1",
            at_most
        );
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (EventId(row.event_id), AreaId(row.id))).collect())
    }
}

/// Bookings that have places above an area's new capacity and are not being paid for.
async fn bookings_above(
    connection: &mut PgConnection,
    area: AreaId,
    cut_to: i32,
) -> Result<Vec<Uuid>, StoreError> {
    let bookings = sqlx::query_scalar!(
        r#"select distinct due.booking_id as "booking!" from (
               select c.booking_id from area_claims c left join bookings b on b.id = c.booking_id
               where c.area_id = $1 and c.slot > $2 and b.status is distinct from 'pending_payment'
               order by c.slot limit $3
           ) due"#,
        area.0,
        cut_to,
        PLACES
    );
    Ok(bookings.fetch_all(connection).await?)
}

async fn take_slots(
    connection: &mut PgConnection,
    area: AreaId,
    cut_to: i32,
    bookings: &[Uuid],
) -> Result<Vec<Claim>, StoreError> {
    let rows = sqlx::query!(
        r#"with gone as (
               delete from area_claims where area_id = $1 and slot > $2 and booking_id = any($3)
               returning slot, booking_id, user_id, status, expires_at
           )
           select g.slot, g.booking_id, g.user_id, g.status = 'sold' as "is_sold!",
               g.status = 'sold' or g.expires_at > clock_timestamp() as "is_alive!",
               format('%s, place %s', a.name, g.slot) as "words!"
           from gone g join areas a on a.id = $1 order by g.booking_id, g.slot"#,
        area.0,
        cut_to,
        bookings
    )
    .fetch_all(connection)
    .await?;
    let claims = rows.into_iter().map(|row| Claim {
        removed: RemovedPlace {
            place: ClaimedPlace::Slot(area, slot(row.slot)),
            holder: Some((UserId(row.user_id), BookingId(row.booking_id))),
            is_sold: row.is_sold,
        },
        is_alive: row.is_alive,
        words: row.words,
    });
    Ok(claims.collect())
}
