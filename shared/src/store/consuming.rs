//! What consumers of the event stream write: how far each group has come stands in one transaction with what follows
//! from the facts, so that one told twice has one effect.
//!
//! Facts of one topic of an event come in their order, whatever is told twice in between. So one number for each of
//! them says which are new; rows for every fact would cost more than most of what follows from it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{EventId, UserId};

/// Characters of an error, and of a message that could not be handled, that are kept.
const LONGEST: usize = 4_000;

/// The transaction of what follows from some facts of one topic.
pub struct Consuming {
    tx: Transaction<'static, Postgres>,
    group: &'static str,
    topic: String,
    marks: HashMap<EventId, i64>,
}

/// A message that a group could not handle.
#[derive(Debug, Clone)]
pub struct DeadRecord {
    /// Its id here.
    pub id: i64,
    /// Whose.
    pub group: String,
    /// Of which topic.
    pub topic: String,
    /// The id of the fact, or the broker's where the bytes make no sense.
    pub message_id: String,
    /// Why.
    pub error: String,
    /// Since when.
    pub dead_at: DateTime<Utc>,
}

/// A message that could not be handled, to be kept.
#[derive(Debug, Clone)]
pub struct NewDead<'a> {
    /// Whose.
    pub group: &'static str,
    /// Of which topic.
    pub topic: &'a str,
    /// The id of the fact, or the broker's.
    pub message_id: &'a str,
    /// The fact's event and number, where it has one.
    pub fact: Option<(EventId, i64)>,
    /// The message itself.
    pub message: &'a str,
    /// Why.
    pub error: &'a str,
}

/// A line of the audit log about something that happened before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAudit {
    /// When.
    pub at: DateTime<Utc>,
    /// From where, where the fact tells it; else the order's address is taken.
    pub ip: Option<std::net::IpAddr>,
    /// Who.
    pub user: Option<UserId>,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// The order that it is about.
    pub order: Option<Uuid>,
    /// How it ended.
    pub result: &'static str,
}

/// A message to everybody who has bought places at an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broadcast {
    /// It does not take place.
    EventCancelled,
    /// It has moved or changed.
    EventChanged,
}

impl Broadcast {
    fn word(self) -> &'static str {
        match self {
            Self::EventCancelled => "event_cancelled",
            Self::EventChanged => "event_changed",
        }
    }
}

/// The next of those whom a broadcast goes to.
#[derive(Debug, Clone)]
pub struct BroadcastPart {
    /// The broadcast.
    pub id: Uuid,
    /// About which event.
    pub event: EventId,
    /// What it says.
    pub what: Broadcast,
    /// Who, each once here; somebody may be in a later part again.
    pub users: Vec<UserId>,
}

fn cut(text: &str) -> String {
    // PostgreSQL keeps no NUL in texts.
    text.chars().filter(|letter| *letter != '\0').take(LONGEST).collect()
}

async fn lock_marks(
    connection: &mut PgConnection,
    (group, topic): (&str, &str),
    events: &[i64],
) -> Result<HashMap<EventId, i64>, StoreError> {
    let rows = sqlx::query!(
        "select event_id, seq from stream_marks
         where grp = $1 and topic = $2 and event_id = any($3) order by event_id for update",
        group,
        topic,
        events
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (EventId(row.event_id), row.seq)).collect())
}

impl Store {
    /// Begins to handle facts of a topic of these events; whoever else handles them waits, and finds them handled then.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_consuming(
        &self,
        group: &'static str,
        topic: &str,
        events: &[EventId],
    ) -> Result<Consuming, StoreError> {
        let mut ids: Vec<i64> = events.iter().map(|event| event.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tx = self.begin().await?;
        let mut marks = lock_marks(&mut tx, (group, topic), &ids).await?;
        if marks.len() < ids.len() {
            sqlx::query!(
                "insert into stream_marks (grp, topic, event_id, seq)
                 select $1, $2, id, 0 from unnest($3::bigint[]) as id order by id on conflict do nothing",
                group,
                topic,
                &ids
            )
            .execute(&mut *tx)
            .await?;
            marks = lock_marks(&mut tx, (group, topic), &ids).await?;
        }
        Ok(Consuming { tx, group, topic: topic.to_owned(), marks })
    }

    /// Puts a message aside that a group could not handle, so that the group goes on.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn bury(&self, dead: &NewDead<'_>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if let Some((event, seq)) = dead.fact {
            sqlx::query!(
                "insert into stream_marks as m (grp, topic, event_id, seq) values ($1, $2, $3, $4)
                 on conflict (grp, topic, event_id) do update set seq = greatest(m.seq, excluded.seq)",
                dead.group,
                dead.topic,
                event.0,
                seq
            )
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query!(
            "insert into stream_dead (grp, topic, message_id, message, error) values ($1, $2, $3, $4, $5)
             on conflict on constraint stream_dead_once do nothing",
            dead.group,
            dead.topic,
            cut(dead.message_id),
            cut(dead.message),
            cut(dead.error)
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Messages that could not be handled, newest first, and how many there are.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn dead_messages(&self, at_most: i64) -> Result<(Vec<DeadRecord>, i64), StoreError> {
        let count = sqlx::query_scalar!(r#"select count(*) as "count!" from stream_dead"#)
            .fetch_one(&self.pool)
            .await?;
        let rows = sqlx::query_as!(
            DeadRecord,
            r#"select id, grp as "group", topic, message_id, error, dead_at from stream_dead
               order by id desc limit $1"#,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        Ok((rows, count))
    }

    /// Forgets broadcasts that went out, and messages put aside, so many days ago and more; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_consumed(&self, days: i32, at_most: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query!(
            "with dead as (
                 delete from stream_dead where id in (
                     select id from stream_dead
                     where dead_at < clock_timestamp() - make_interval(days => $1) order by id limit $2)
                 returning 1
             ), told as (
                 delete from broadcasts where id in (
                     select id from broadcasts
                     where finished_at < clock_timestamp() - make_interval(days => $1) limit $2)
                 returning 1
             )
             select (select count(*) from dead) + (select count(*) from told) as \"gone!\"",
            days,
            at_most
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(gone.gone.unsigned_abs())
    }
}

impl Consuming {
    /// Whether a fact has not been handled yet; from now on it counts as handled. To be asked in the order of the facts.
    pub fn is_new(&mut self, event: EventId, seq: i64) -> bool {
        let mark = self.marks.entry(event).or_default();
        let is_new = seq > *mark;
        *mark = seq.max(*mark);
        is_new
    }

    /// The connection, for what follows from the facts.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Commits what follows from the facts, and that they are handled.
    ///
    /// # Errors
    /// PostgreSQL is away; nothing is written then.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let sorted: BTreeMap<EventId, i64> = self.marks.into_iter().collect();
        let (events, seqs): (Vec<i64>, Vec<i64>) =
            sorted.into_iter().map(|(event, seq)| (event.0, seq)).unzip();
        sqlx::query!(
            "update stream_marks m set seq = told.seq
             from unnest($3::bigint[], $4::bigint[]) as told (event_id, seq)
             where m.grp = $1 and m.topic = $2 and m.event_id = told.event_id and m.seq < told.seq",
            self.group,
            self.topic,
            &events,
            &seqs
        )
        .execute(&mut *self.tx)
        .await?;
        self.tx.commit().await?;
        Ok(())
    }

    /// Writes lines into the audit log. A line whose month is not there any more is dated now.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn audit(&mut self, lines: &[PastAudit]) -> Result<(), StoreError> {
        let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.at).collect();
        let ips: Vec<Option<String>> = lines.iter().map(|line| line.ip.map(|ip| ip.to_string())).collect();
        let users: Vec<Option<i64>> = lines.iter().map(|line| line.user.map(|user| user.0)).collect();
        let actions: Vec<String> = lines.iter().map(|line| line.action.clone()).collect();
        let objects: Vec<String> = lines.iter().map(|line| line.object.clone()).collect();
        let orders: Vec<Option<Uuid>> = lines.iter().map(|line| line.order).collect();
        let results: Vec<String> = lines.iter().map(|line| line.result.to_owned()).collect();
        sqlx::query!(
            "insert into audit_log (at, ip, user_id, action, object, result)
             select case when to_regclass('audit_log_' || to_char(line.at at time zone 'UTC', 'YYYYMM')) is null
                     then clock_timestamp() else line.at end,
                 coalesce(line.ip::inet, o.ip), line.user_id, line.action, line.object, line.result
             from unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::text[])
                 with ordinality as line (at, ip, user_id, action, object, order_id, result, nth)
             left join orders o on o.id = line.order_id
             order by line.nth",
            &times,
            &ips as &[Option<String>],
            &users as &[Option<i64>],
            &actions,
            &objects,
            &orders as &[Option<Uuid>],
            &results
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Begins a message to everybody who has bought places at an event; the same id is the same message.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_broadcast(
        &mut self,
        id: Uuid,
        event: EventId,
        what: Broadcast,
        told_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into broadcasts (id, event_id, kind, told_at) values ($1, $2, $3, $4) on conflict (id) do nothing",
            id,
            event.0,
            what.word(),
            told_at
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Those of these bookings whose order ran out, or is about to: that is told by itself.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn with_expired_order(&mut self, bookings: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let rows = sqlx::query_scalar!(
            "select distinct i.booking_id from order_items i join orders o on o.id = i.order_id
             where i.booking_id = any($1) and o.status in ('expiring', 'expired')",
            bookings
        );
        Ok(rows.fetch_all(&mut *self.tx).await?)
    }
}

/// Goes on with the oldest broadcast that nobody else is at: the next of those it goes to, of so many items; `None` when
/// there is nothing to tell. In the transaction that writes their messages.
///
/// # Errors
/// PostgreSQL is away.
pub async fn next_broadcast_part(
    connection: &mut PgConnection,
    items: i64,
) -> Result<Option<BroadcastPart>, StoreError> {
    let Some(row) = sqlx::query!(
        "select id, event_id, kind, told_at, after_item from broadcasts
         where finished_at is null order by told_at limit 1 for update skip locked"
    )
    .fetch_optional(&mut *connection)
    .await?
    else {
        return Ok(None);
    };
    let what =
        if row.kind == "event_cancelled" { Broadcast::EventCancelled } else { Broadcast::EventChanged };
    // Who gave their places back before is not told; whoever gets their money because of it is.
    let bought = sqlx::query!(
        r#"select i.id, o.user_id, (i.status in ('held', 'sold', 'refunding') or exists (
                   select 1 from refund_items x join refunds r on r.id = x.refund_id
                   where x.order_item_id = i.id and r.created_at >= $3)) as "is_told!"
           from order_items i join orders o on o.id = i.order_id
           where i.event_id = $1 and ($2::uuid is null or i.id > $2) order by i.id limit $4"#,
        row.event_id,
        row.after_item,
        row.told_at,
        items
    )
    .fetch_all(&mut *connection)
    .await?;
    let is_last = i64::try_from(bought.len()).unwrap_or(i64::MAX) < items;
    sqlx::query!(
        "update broadcasts
         set after_item = coalesce($2, after_item), finished_at = case when $3 then clock_timestamp() end
         where id = $1",
        row.id,
        bought.last().map(|item| item.id),
        is_last
    )
    .execute(&mut *connection)
    .await?;
    let mut users: Vec<UserId> =
        bought.into_iter().filter(|item| item.is_told).map(|item| UserId(item.user_id)).collect();
    users.sort_unstable();
    users.dedup();
    Ok(Some(BroadcastPart { id: row.id, event: EventId(row.event_id), what, users }))
}
