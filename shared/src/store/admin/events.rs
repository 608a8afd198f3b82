//! Events, made, changed, cancelled and deleted.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::event_rows::{lay_out, read_events, write_artists, write_event, write_tiers};
use super::{By, Part, allow_time, audit, column, lock_lane};
use crate::domain::{EventId, Money, Tier};
use crate::store::claims::{Fact, append_outbox};
use crate::store::{NewNamedJob, REFUNDS, RefundJob, Store, StoreError, insert_job};

/// What is told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventData {
    /// Where it is.
    pub venue: i64,
    /// As shown.
    pub name: String,
    /// As shown; may be empty.
    pub description: String,
    /// Who plays, in order.
    pub artists: Vec<i64>,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends, where that is known.
    pub ends_at: Option<DateTime<Utc>>,
    /// From when on it is sold.
    pub sales_open_at: DateTime<Utc>,
    /// Until when it is sold.
    pub sales_close_at: DateTime<Utc>,
    /// Places that one shopper may have.
    pub seat_limit: u32,
    /// Seconds that a reservation holds.
    pub hold_seconds: u32,
    /// One booking a person.
    pub one_booking_each: bool,
    /// Tickets may be given back until so many hours before the beginning; `None`: never.
    pub refund_until_hours: Option<u32>,
}

/// A price that an event has, by its name.
#[derive(Debug, Clone)]
pub struct NewTier {
    /// As shown.
    pub name: String,
    /// For one place.
    pub price: Money,
}

/// An event as admins see it.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// What is told of it.
    pub data: EventData,
    /// `scheduled` or `cancelled`.
    pub status: String,
    /// Rises when places are added or removed.
    pub layout_version: u32,
    /// Seats and the capacity of areas.
    pub capacity: u32,
    /// Prices, dearest first.
    pub tiers: Vec<Tier>,
    /// PostgreSQL's clock when this was read.
    pub read_at: DateTime<Utc>,
}

/// What became of deleting an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// Somebody has reserved or bought something.
    InUse,
    /// There is none.
    NotFound,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventFact {
    event_id: EventId,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<&'static str>,
}

impl Store {
    /// Adds an event with its prices, and with the places of a layout if one is given.
    ///
    /// # Errors
    /// The constraint `events_venue_id_fkey` or `event_artists_artist_id_fkey` when there is no such venue or artist.
    pub async fn insert_event(
        &self,
        event: &EventData,
        tiers: &[NewTier],
        layout: Option<i64>,
        by: &By,
    ) -> Result<EventId, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        let id = sqlx::query_scalar!(
            "insert into events (venue_id, name, description, starts_at, ends_at, sales_open_at, sales_close_at,
                 seat_limit, hold_seconds, one_booking_each, refund_until_hours)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id",
            event.venue,
            event.name,
            event.description,
            event.starts_at,
            event.ends_at,
            event.sales_open_at,
            event.sales_close_at,
            column(event.seat_limit),
            column(event.hold_seconds),
            event.one_booking_each,
            event.refund_until_hours.map(column)
        )
        .fetch_one(&mut *tx)
        .await
        .map(EventId)?;
        sqlx::query!("insert into lanes (event_id) values ($1)", id.0).execute(&mut *tx).await?;
        write_artists(&mut tx, id, &event.artists).await?;
        write_tiers(&mut tx, id, tiers).await?;
        if let Some(layout) = layout {
            lay_out(&mut tx, id, layout).await?;
        }
        audit(&mut tx, by, "event.create", &format!("event {id}")).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Events as admins see them, latest first, or one of them.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn event_rows(&self, only: Option<EventId>, part: Part) -> Result<Vec<EventRow>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let ids = match only {
            Some(id) => vec![id.0],
            None => {
                sqlx::query_scalar!(
                    "select id from events order by starts_at desc, id desc offset $1 limit $2",
                    part.offset,
                    part.limit
                )
                .fetch_all(&mut *connection)
                .await?
            }
        };
        read_events(&mut connection, &ids).await
    }

    /// Changes an event and the prices of tiers, by their names; `None` when there is none. When it moves, in time or in
    /// space, that is told to the outside.
    ///
    /// # Errors
    /// What `change` says, or a constraint as in [`Self::insert_event`].
    pub async fn change_event<E: From<StoreError>>(
        &self,
        id: EventId,
        tiers: &[NewTier],
        by: &By,
        change: impl FnOnce(EventData) -> Result<EventData, E>,
    ) -> Result<Option<EventRow>, E> {
        let mut tx = self.begin().await?;
        sqlx::query!("select 1 as one from events where id = $1 for no key update", id.0)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::from)?;
        let Some(before) = read_events(&mut tx, &[id.0]).await?.pop() else {
            return Ok(None);
        };
        let after = change(before.data.clone())?;
        write_event(&mut tx, id, &after).await?;
        if after.artists != before.data.artists {
            write_artists(&mut tx, id, &after.artists).await?;
        }
        if !tiers.is_empty() {
            write_tiers(&mut tx, id, tiers).await?;
            sqlx::query!("update events set layout_version = layout_version + 1 where id = $1", id.0)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::from)?;
        }
        let changed = moved(&before.data, &after);
        if !changed.is_empty() {
            let fact = Fact::new("event.changed", &EventFact { event_id: id, changed });
            append_outbox(&mut tx, id, &[fact]).await?;
        }
        audit(&mut tx, by, "event.change", &format!("event {id}")).await?;
        let row = read_events(&mut tx, &[id.0]).await?.pop();
        tx.commit().await.map_err(StoreError::from)?;
        Ok(row)
    }

    /// Cancels an event: nothing of it is sold from now on, what is in carts runs out at once, what was paid goes back by
    /// a job that is written with it, and the outside is told. False when there is none; one that is cancelled already stays so.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn cancel_event(&self, id: EventId, by: &By) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        if !lock_event(&mut tx, id).await? {
            return Ok(false);
        }
        let cancelled = sqlx::query!(
            "update events set status = 'cancelled' where id = $1 and status = 'scheduled'",
            id.0
        )
        .execute(&mut *tx)
        .await?;
        if cancelled.rows_affected() == 0 {
            return Ok(true);
        }
        // The sweeper releases them and tells whose they were; what is being paid for is left to the payment.
        sqlx::query!(
            "with found as materialized (
                 select id from bookings where event_id = $1 and status = 'created'
             ), open as (
                 select id from bookings where id in (select id from found) and status = 'created'
                 order by id for update
             ), lapsed as (
                 update bookings b set expires_at = clock_timestamp() from open where b.id = open.id
             ), seats as (
                 update seat_claims c set expires_at = clock_timestamp() from open
                 where c.booking_id = open.id and c.status = 'reserved'
             )
             update area_claims c set expires_at = clock_timestamp() from open
             where c.booking_id = open.id and c.status = 'reserved'",
            id.0
        )
        .execute(&mut *tx)
        .await?;
        let job = RefundJob::Event {
            reason: "event_cancelled".to_owned(),
            event: id,
            after: None,
            by: Some(by.user),
            is_unready: false,
        };
        insert_job(&mut tx, &NewNamedJob { queue: REFUNDS, lane: 0, payload: job, run_at: None }).await?;
        let fact = Fact::new("event.cancelled", &EventFact { event_id: id, changed: Vec::new() });
        append_outbox(&mut tx, id, &[fact]).await?;
        audit(&mut tx, by, "event.cancel", &format!("event {id}")).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes an event that nobody has reserved or bought anything of.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn delete_event(&self, id: EventId, by: &By) -> Result<Deleted, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        if !lock_event(&mut tx, id).await? {
            return Ok(Deleted::NotFound);
        }
        let is_used = sqlx::query_scalar!(
            r#"select exists (select 1 from seat_claims where event_id = $1)
                   or exists (select 1 from area_claims where event_id = $1)
                   or exists (select 1 from order_items where event_id = $1)
                   or exists (select 1 from tickets where event_id = $1) as "is_used!""#,
            id.0
        )
        .fetch_one(&mut *tx)
        .await?;
        if is_used {
            return Ok(Deleted::InUse);
        }
        // Empty carts would else lapse for an event that nobody knows.
        sqlx::query!(
            "update bookings set status = 'cancelled', closed_at = clock_timestamp()
             where id in (select id from bookings where event_id = $1 and status = 'created' offset 0)
                 and status = 'created'",
            id.0
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("delete from seats where event_id = $1", id.0).execute(&mut *tx).await?;
        sqlx::query!("delete from events where id = $1", id.0).execute(&mut *tx).await?;
        audit(&mut tx, by, "event.delete", &format!("event {id}")).await?;
        tx.commit().await?;
        Ok(Deleted::Done)
    }
}

/// Locks an event's lane; false when there is no such event.
pub(super) async fn lock_event(connection: &mut PgConnection, id: EventId) -> Result<bool, StoreError> {
    let is_there = sqlx::query_scalar!("select id from events where id = $1", id.0)
        .fetch_optional(&mut *connection)
        .await?;
    if is_there.is_none() {
        return Ok(false);
    }
    lock_lane(connection, id).await?;
    Ok(true)
}

/// What of an event moved that those who have tickets must know.
fn moved(before: &EventData, after: &EventData) -> Vec<&'static str> {
    let all = [
        ("startsAt", before.starts_at != after.starts_at),
        ("endsAt", before.ends_at != after.ends_at),
        ("venueId", before.venue != after.venue),
    ];
    all.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect()
}
