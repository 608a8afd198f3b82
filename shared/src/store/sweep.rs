//! What the sweeper does in PostgreSQL. Every pass is bounded and safe to run twice or by two at once.

use sqlx::types::chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::claims::{
    RanOut, Why, append_freed, close_ran_out, delete_expired, hint_freed, prolong_left, slot, slot_column,
};
use super::{Freed, STATEMENT, Store, StoreError, in_time};
use crate::domain::{AreaId, BookingId, EventId, SeatId, UserId};

/// Passes at the same time write to the outbox one after the other. They would wait for each other in PostgreSQL, with
/// a statement under way, which takes longer to wake up when both processors are busy.
static OUTBOX_TURN: Mutex<()> = Mutex::const_new(());

/// What one pass did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Places that came free.
    pub freed: Vec<Freed>,
    /// Bookings that were looked at.
    pub bookings: usize,
}

/// What becomes of bookings of which nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// They are expired in the same transaction.
    Close,
    /// Another pass closes them: that takes longer than releasing what they held, which others wait for.
    Keep,
}

/// A place in the list of bookings that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuePlace {
    expires_at: DateTime<Utc>,
    id: uuid::Uuid,
}

impl DuePlace {
    /// Before all.
    pub const START: Self = Self { expires_at: DateTime::UNIX_EPOCH, id: uuid::Uuid::nil() };
}

impl Store {
    /// Open bookings with something that has run out, so many at most after a place in the list, oldest first; and the
    /// place of the last one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn due_bookings(
        &self,
        after: DuePlace,
        at_most: usize,
    ) -> Result<(Vec<BookingId>, DuePlace), StoreError> {
        let due = sqlx::query_as!(
            DuePlace,
            r#"select expires_at as "expires_at!", id from bookings
               where status = 'created' and expires_at <= statement_timestamp()
                   and (expires_at, uuid_send(id)) > ($1, uuid_send($2))
               order by expires_at, uuid_send(id) limit $3"#,
            after.expires_at,
            after.id,
            i64::try_from(at_most).unwrap_or(i64::MAX)
        );
        let due = due.fetch_all(&self.pool).await?;
        let last = due.last().copied().unwrap_or(after);
        Ok((due.into_iter().map(|one| BookingId(one.id)).collect(), last))
    }

    /// Releases what has run out of these bookings in one transaction, and expires those that are emptied, if they are to
    /// be closed. Locked rows are left alone: whoever has one locked is changing it right now.
    ///
    /// It does not wait for the disk: whatever is built on it, such as the next claim of a seat, is committed after it
    /// and waits for both; and what a crash undoes is due again.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn release_expired(
        &self,
        bookings: &[BookingId],
        emptied: Emptied,
    ) -> Result<Swept, StoreError> {
        let ids: Vec<uuid::Uuid> = bookings.iter().map(|booking| booking.0).collect();
        let mut tx = self.begin_with("begin; set local synchronous_commit = off").await?;
        let locked = sqlx::query!(
            r#"select id, status = 'created' and expires_at <= clock_timestamp() as "is_due!" from bookings
               where id = any($1) order by id for update skip locked"#,
            &ids
        )
        .fetch_all(&mut *tx)
        .await?;
        let bookings: Vec<uuid::Uuid> =
            locked.into_iter().filter(|row| row.is_due).map(|row| row.id).collect();
        if bookings.is_empty() {
            return Ok(Swept::default());
        }
        let RanOut { freed, left } = delete_expired(&mut tx, &bookings).await?;
        prolong_left(&mut tx, &left).await?;
        if emptied == Emptied::Close {
            let ended: Vec<uuid::Uuid> =
                bookings.iter().copied().filter(|id| !left.contains_key(id)).collect();
            close_ran_out(&mut tx, &ended).await?;
        }
        let facts = hint_freed(&mut tx, &freed, &[], Why::Expired).await?;
        // Last, as it holds the counters of the outbox until the commit, which others need.
        let _turn = if facts.is_empty() { None } else { Some(OUTBOX_TURN.lock().await) };
        append_freed(&mut tx, &facts).await?;
        tx.commit().await?;
        Ok(Swept { freed, bookings: bookings.len() })
    }

    /// Forgets what is of use only for a while: hints of freed places after an hour, refresh tokens that have
    /// run out, outcomes two days after their event is over and they were decided, so that no job's reference outlives its
    /// outcome. Returns how many rows went.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn sweep_retention(&self, at_most: i64) -> Result<u64, StoreError> {
        let mut gone = 0;
        gone += sqlx::query!(
            "delete from claim_frees where id in (
                 select id from claim_frees where freed_at < clock_timestamp() - interval '1 hour' limit $1)",
            at_most
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        gone += sqlx::query!(
            "delete from refresh_tokens where token_hash in (
                 select token_hash from refresh_tokens where expires_at < clock_timestamp() limit $1)",
            at_most
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        gone += sqlx::query!(
            "delete from job_outcomes o using (
                 select o.event_id, o.number from job_outcomes o join events e on e.id = o.event_id
                 where e.starts_at < clock_timestamp() - interval '2 days'
                     and greatest(e.starts_at, e.ends_at, e.sales_close_at) < clock_timestamp() - interval '2 days'
                     and o.decided_at < clock_timestamp() - interval '2 days' limit $1) as old
             where o.event_id = old.event_id and o.number = old.number",
            at_most
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        // Of events that were taken out of the catalogue: from one event to the next by the index, as there is no list of them.
        gone += sqlx::query!(
            "with recursive ids (id) as (
                 select min(event_id) from job_outcomes
                 union all
                 select (select min(event_id) from job_outcomes where event_id > ids.id) from ids where ids.id is not null
             )
             delete from job_outcomes o using (
                 select o.event_id, o.number
                 from ids join job_outcomes o on o.event_id = ids.id left join events e on e.id = ids.id
                 where e.id is null and o.decided_at < clock_timestamp() - interval '2 days' limit $1) as old
             where o.event_id = old.event_id and o.number = old.number",
            at_most
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(gone)
    }

    /// Those of these events that are over, and not sold any more, for two days, or that do not exist.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn past_events(&self, events: &[EventId]) -> Result<Vec<EventId>, StoreError> {
        let ids: Vec<i64> = events.iter().map(|event| event.0).collect();
        let past = sqlx::query_scalar!(
            r#"select asked.id as "id!" from unnest($1::bigint[]) as asked (id)
               left join events e on e.id = asked.id
               where e.id is null
                   or greatest(e.starts_at, e.ends_at, e.sales_close_at) < clock_timestamp() - interval '2 days'"#,
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(past.into_iter().map(EventId).collect())
    }

    /// Reservations of an event that are alive, a page after a seat: for the keys in Redis that show them. Asked for in
    /// the order of the index by event and seat, as a page by the seats' own would go through all events' claims.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn reservations_after(
        &self,
        event: EventId,
        after: SeatId,
        at_most: i64,
    ) -> Result<Vec<(SeatId, UserId, i64)>, StoreError> {
        let rows = sqlx::query!(
            r#"select seat_id, user_id,
                   (extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint as "ttl_ms!"
               from seat_claims
               where (event_id, seat_id) > ($1, $2) and event_id <= $1 and status = 'reserved'
                   and expires_at > clock_timestamp()
               order by event_id, seat_id limit $3"#,
            event.0,
            after.0,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (SeatId(row.seat_id), UserId(row.user_id), row.ttl_ms)).collect())
    }

    /// The same of the event's areas, a page after a slot.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn slot_reservations_after(
        &self,
        event: EventId,
        (after_area, after_slot): (AreaId, u32),
        at_most: i64,
    ) -> Result<Vec<((AreaId, u32), UserId, i64)>, StoreError> {
        let rows = sqlx::query!(
            r#"select area_id, slot, user_id,
                   (extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint as "ttl_ms!"
               from area_claims
               where (event_id, area_id, slot) > ($1, $2, $3) and event_id <= $1 and status = 'reserved'
                   and expires_at > clock_timestamp()
               order by event_id, area_id, slot limit $4"#,
            event.0,
            after_area.0,
            slot_column(after_slot),
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        let place = |area, number| (AreaId(area), slot(number));
        Ok(rows
            .into_iter()
            .map(|row| (place(row.area_id, row.slot), UserId(row.user_id), row.ttl_ms))
            .collect())
    }

    /// Takes the sweeper's lead for as long as the connection lives; `None` when somebody else has it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn try_lead(&self) -> Result<Option<Lead>, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let is_leader = sqlx::query_scalar!(
            r#"select pg_try_advisory_lock(hashtext('usher sweeper')::bigint) as "is_leader!""#
        )
        .fetch_one(&mut connection)
        .await?;
        Ok(is_leader.then_some(Lead { connection }))
    }
}

/// The sweeper's lead: it ends with this connection, however it ends.
#[derive(Debug)]
pub struct Lead {
    connection: sqlx::PgConnection,
}

impl Lead {
    /// Whether the connection, and so the lead, is still there.
    pub async fn is_held(&mut self) -> bool {
        let asked = sqlx::query!(r#"select 1 as "one!""#).fetch_one(&mut self.connection);
        in_time(STATEMENT, async { Ok::<_, StoreError>(asked.await?) }).await.is_ok()
    }

    /// Gives the lead to whoever asks next.
    pub async fn resign(self) {
        let _ = sqlx::Connection::close(self.connection).await;
    }
}
