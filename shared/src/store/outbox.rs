//! The outbox as its relay sees it: what of it has been sent, and who sends right now.
//!
//! The numbers of an event's facts are given out under a lock that is held until the commit, so whatever stands above
//! the last one that was sent is exactly what was not sent. Writers therefore mark nothing and no index tells sent rows
//! from others; only the relay writes, one row an event and round.

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::domain::EventId;

/// A relay that has told nothing for so long has died: somebody else goes on.
const LEASE_SECONDS: f64 = 30.0;
/// Rows of an event read at once, and the bytes after which no further one is.
const ROWS: i64 = 64;
const BYTES: i64 = 500_000;
/// Rows that were sent are kept for so long, for whoever looks back and for a broker that has lost something.
const KEEP_HOURS: i32 = 48;

/// Facts of one topic that one transaction told.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// The number of the first one.
    pub seq: i64,
    /// Of which topic.
    pub topic: String,
    /// A JSON array.
    pub facts: String,
    /// When they were told.
    pub at: DateTime<Utc>,
}

/// What of an event is to be sent next, in order, by whoever has it leased.
#[derive(Debug, Clone)]
pub struct Unsent {
    /// Which event.
    pub event: EventId,
    /// Its oldest unsent rows.
    pub rows: Vec<OutboxRow>,
}

/// How far the relay is behind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OutboxDepth {
    /// Facts that were not sent yet.
    pub unsent: i64,
    /// How long the oldest of them has waited, in seconds.
    pub oldest_seconds: f64,
}

/// A topic that its broker has another run of than it was sent to.
#[derive(Debug, Clone)]
pub struct Rewound {
    /// Which topic.
    pub topic: String,
    /// The run that it was sent to; empty where it never was.
    pub seen: String,
    /// The run that it is sent to from now on.
    pub run: String,
}

impl Store {
    /// Leases events with unsent facts, so many at most, and reads their oldest ones.
    ///
    /// When it returns, what was read is on the disk: facts that a crash could still undo, and whose numbers others
    /// would get then, are not told to anybody.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn lease_unsent(&self, relay: &str, at_most: i64) -> Result<Vec<Unsent>, StoreError> {
        let mut tx = self.begin().await?;
        let leased = sqlx::query_file!("src/store/sql/lease_unsent.sql", relay, at_most, LEASE_SECONDS)
            .fetch_all(&mut *tx)
            .await?;
        if leased.is_empty() {
            return Ok(Vec::new());
        }
        let (events, sent): (Vec<i64>, Vec<i64>) =
            leased.into_iter().map(|row| (row.event_id, row.sent)).unzip();
        let rows = sqlx::query_file!("src/store/sql/read_unsent.sql", &events, &sent, ROWS, BYTES)
            .fetch_all(&mut *tx)
            .await?;
        // Written with the lease, after all that was read: this waits for the disk, for those as well who did not.
        tx.commit().await?;
        let mut unsent: Vec<Unsent> = Vec::new();
        for row in rows {
            let event = EventId(row.event_id);
            let one = OutboxRow { seq: row.seq, topic: row.topic, facts: row.facts, at: row.created_at };
            match unsent.last_mut() {
                Some(last) if last.event == event => last.rows.push(one),
                _ => unsent.push(Unsent { event, rows: vec![one] }),
            }
        }
        Ok(unsent)
    }

    /// Facts of these events are sent up to these numbers; the leases end. Whoever lost a lease notes nothing.
    ///
    /// It does not wait for the disk: what is forgotten is sent once more.
    ///
    /// # Errors
    /// PostgreSQL is away; they are sent once more then.
    pub async fn note_sent(&self, relay: &str, sent: &[(EventId, i64)]) -> Result<(), StoreError> {
        let (events, seqs): (Vec<i64>, Vec<i64>) = sent.iter().map(|(event, seq)| (event.0, *seq)).unzip();
        let mut tx = self.begin_with("begin; set local synchronous_commit = off").await?;
        sqlx::query!(
            "update outbox_relays r
             set sent = greatest(r.sent, told.seq), relay = null, leased_until = null
             from unnest($2::bigint[], $3::bigint[]) as told (event_id, seq)
             where r.event_id = told.event_id and r.relay = $1",
            relay,
            &events,
            &seqs
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Ends all leases of a relay that stops.
    ///
    /// # Errors
    /// PostgreSQL is away; they run out then.
    pub async fn release_unsent(&self, relay: &str) -> Result<(), StoreError> {
        sqlx::query!("update outbox_relays set relay = null, leased_until = null where relay = $1", relay)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The runs of the broker that topics were last sent to.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn topic_runs(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query!("select topic, run from stream_topics").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (row.topic, row.run)).collect())
    }

    /// Notes the runs that topics are sent to from now on. Where another one was known, whatever a group has not handled
    /// counts as not sent, and so does what was told in the last minute, for readers whom nobody here knows; `groups` are
    /// pairs of group and topic. Returns whether it was so: somebody else may have noted another run meanwhile.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn rewind_topics(
        &self,
        rewound: &[Rewound],
        groups: &[(&str, &str)],
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin_with("begin; set local statement_timeout = '60s'").await?;
        let mut lost = Vec::new();
        for one in rewound {
            let noted = sqlx::query!(
                "insert into stream_topics (topic, run) values ($1, $2)
                 on conflict (topic) do update set run = excluded.run where stream_topics.run = $3",
                one.topic,
                one.run,
                one.seen
            )
            .execute(&mut *tx)
            .await?;
            if noted.rows_affected() == 0 {
                return Ok(false);
            }
            lost.extend((!one.seen.is_empty()).then(|| one.topic.clone()));
        }
        if !lost.is_empty() {
            let of = |nth: fn(&(&str, &str)) -> String| groups.iter().map(nth).collect::<Vec<_>>();
            sqlx::query_file!(
                "src/store/sql/rewind_topics.sql",
                &lost,
                &of(|(group, _)| (*group).to_owned()),
                &of(|(_, topic)| (*topic).to_owned())
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// How far the relay is behind.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn outbox_depth(&self) -> Result<OutboxDepth, StoreError> {
        let row = sqlx::query!(
            r#"select coalesce(sum(c.last - coalesce(r.sent, 0)), 0)::bigint as "unsent!",
                   coalesce(extract(epoch from clock_timestamp() - min(oldest.created_at)), 0)::float8
                       as "oldest_seconds!"
               from outbox_counters c
               left join outbox_relays r on r.event_id = c.event_id
               left join lateral (
                   select o.created_at from outbox o
                   where o.event_id = c.event_id and o.seq > coalesce(r.sent, 0) order by o.seq limit 1
               ) oldest on true
               where c.last > coalesce(r.sent, 0)"#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(OutboxDepth { unsent: row.unsent, oldest_seconds: row.oldest_seconds.max(0.0) })
    }

    /// Forgets facts that were sent two days ago and more, so many rows at most; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_sent(&self, at_most: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query!(
            "delete from outbox o using (
                 select old.event_id, old.seq from outbox_relays r cross join lateral (
                     select first.event_id, first.seq, first.created_at from outbox first
                     where first.event_id = r.event_id and first.seq <= r.sent order by first.seq limit $1
                 ) old
                 where old.created_at < clock_timestamp() - make_interval(hours => $2) limit $1
             ) gone
             where o.event_id = gone.event_id and o.seq = gone.seq",
            at_most,
            KEEP_HOURS
        )
        .execute(&self.pool)
        .await?;
        Ok(gone.rows_affected())
    }
}
