//! What went wrong and what people did, as all processes have counted it.

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::seen::{Activity, SeenError};

/// Days for which both are kept.
const DAYS: i32 = 30;

/// An error as the administration panel shows it.
#[derive(Debug, Clone)]
pub struct ErrorRecord {
    /// Which process, such as `gateway@host`.
    pub process: String,
    /// Its code.
    pub code: String,
    /// How often, since it was first seen.
    pub count: i64,
    /// When first.
    pub first_seen: DateTime<Utc>,
    /// When last.
    pub last_seen: DateTime<Utc>,
    /// The request of the last one, as it stands in the answer.
    pub request_id: Option<String>,
}

/// What people did in one minute.
#[derive(Debug, Clone)]
pub struct ActivityRecord {
    /// When it began.
    pub at: DateTime<Utc>,
    /// People who registered.
    pub registrations: i64,
    /// Log-ins.
    pub logins: i64,
    /// Requests that were given places.
    pub bookings: i64,
    /// Requests that were refused.
    pub refusals: i64,
    /// Orders.
    pub orders: i64,
}

impl Store {
    /// Adds what a process has seen go wrong.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn add_errors(&self, process: &str, seen: &[SeenError]) -> Result<(), StoreError> {
        let codes: Vec<String> = seen.iter().map(|one| one.code.to_owned()).collect();
        let counts: Vec<i64> = seen.iter().map(|one| one.count.cast_signed()).collect();
        let ages: Vec<i64> = seen.iter().map(SeenError::age_ms).collect();
        let requests: Vec<Option<String>> = seen.iter().map(|one| one.request_id.clone()).collect();
        sqlx::query!(
            "insert into errors_seen as e (process, code, count, first_seen, last_seen, request_id)
             select $1, code, count, at, at, request_id from (
                 select code, count, clock_timestamp() - make_interval(secs => age_ms / 1000.0) as at, request_id
                 from unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[])
                     as seen (code, count, age_ms, request_id)
                 order by code) seen
             on conflict (process, code) do update
             set count = e.count + excluded.count, last_seen = greatest(e.last_seen, excluded.last_seen),
                 request_id = coalesce(excluded.request_id, e.request_id)",
            process,
            &codes,
            &counts,
            &ages,
            &requests as &[Option<String>]
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Adds what people have done since the last time, to the minute of now.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn add_activity(&self, done: &[(Activity, u64)]) -> Result<(), StoreError> {
        let kinds: Vec<String> = done.iter().map(|(kind, _)| kind.word().to_owned()).collect();
        let counts: Vec<i64> = done.iter().map(|(_, count)| count.cast_signed()).collect();
        sqlx::query!(
            "insert into activity_minutes as a (minute, kind, count)
             select date_trunc('minute', clock_timestamp()), kind, count from (
                 select * from unnest($1::text[], $2::bigint[]) as done (kind, count) order by kind) done
             on conflict (minute, kind) do update set count = a.count + excluded.count",
            &kinds,
            &counts
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Errors, latest first; of one process and with one code, where these are given. From the replica, where there
    /// is one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn errors_seen(
        &self,
        process: Option<&str>,
        code: Option<&str>,
        at_most: i64,
    ) -> Result<Vec<ErrorRecord>, StoreError> {
        self.read(|pool| async move {
            sqlx::query_as!(
                ErrorRecord,
                "select process, code, count, first_seen, last_seen, request_id from errors_seen
                 where ($1::text is null or process = $1 or starts_with(process, $1 || '@'))
                     and ($2::text is null or code = $2)
                 order by last_seen desc, process, code limit $3",
                process,
                code,
                at_most
            )
            .fetch_all(&pool)
            .await
        })
        .await
    }

    /// What people did in the last so many minutes, those in which something was done, newest first. From the
    /// replica, where there is one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn activity(&self, minutes: i32) -> Result<Vec<ActivityRecord>, StoreError> {
        self.read(|pool| async move {
            sqlx::query_file_as!(ActivityRecord, "src/store/sql/activity.sql", minutes).fetch_all(&pool).await
        })
        .await
    }

    /// Forgets what was last seen long ago; returns how many rows went.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_seen(&self) -> Result<u64, StoreError> {
        let errors = sqlx::query!(
            "delete from errors_seen where last_seen < clock_timestamp() - make_interval(days => $1)",
            DAYS
        );
        let minutes = sqlx::query!(
            "delete from activity_minutes where minute < clock_timestamp() - make_interval(days => $1)",
            DAYS
        );
        let gone = errors.execute(&self.pool).await?.rows_affected();
        Ok(gone + minutes.execute(&self.pool).await?.rows_affected())
    }
}
