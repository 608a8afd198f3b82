//! Jobs of named queues that operators end together, and what is left of them.

use std::collections::HashMap;

use uuid::Uuid;

use super::jobs::{RemovedJob, lane_column, lane_of, number_of};
use super::{Store, StoreError};

/// Unfinished jobs are counted as far as this.
const COUNTED: i64 = 100_000;

impl Store {
    /// Jobs of a queue, or of one of its lanes, or `only` one, that are not finished, oldest first, but for those that are
    /// `spared`; each with how often it has been begun.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn jobs_to_drain(
        &self,
        queue: &str,
        (lane, only): (Option<u16>, Option<Uuid>),
        spared: &[Uuid],
        at_most: i64,
    ) -> Result<Vec<(Uuid, i32)>, StoreError> {
        let rows = sqlx::query!(
            "select id, attempts from jobs
             where queue = $1 and finished_at is null and ($2::smallint is null or lane = $2) and id <> all($3)
                 and ($5::uuid is null or id = $5)
             order by created_at, id limit $4",
            queue,
            lane.map(lane_column),
            spared,
            at_most,
            only
        );
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| (row.id, row.attempts)).collect())
    }

    /// Ends those of these jobs as removed that are not finished and have not been begun since they were read, but for those
    /// that somebody changes right now; returns them.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn drain_jobs(&self, jobs: &[(Uuid, i32)]) -> Result<Vec<RemovedJob>, StoreError> {
        let (ids, begun): (Vec<Uuid>, Vec<i32>) = jobs.iter().copied().unzip();
        let removed = sqlx::query!(
            r#"update jobs set status = 'removed', finished_at = clock_timestamp(), progress = null, progress_at = null
             where finished_at is null and id = any (array(
                 select j.id from unnest($1::uuid[], $2::integer[]) as read (id, attempts) join jobs j on j.id = read.id
                 where j.finished_at is null and j.attempts = read.attempts for update of j skip locked))
             returning id, lane, number, payload::text as "payload!""#,
            &ids,
            &begun
        );
        let removed = removed.fetch_all(&self.pool).await?.into_iter().map(|row| RemovedJob {
            id: row.id,
            lane: lane_of(row.lane),
            number: number_of(row.number),
            payload: row.payload,
        });
        Ok(removed.collect())
    }

    /// How many jobs of a queue, or of one of its lanes, are not finished; counted up to 100,000.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn unfinished_jobs(&self, queue: &str, lane: Option<u16>) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from (
                   select from jobs
                   where queue = $1 and finished_at is null and ($2::smallint is null or lane = $2) limit $3) jobs"#,
            queue,
            lane.map(lane_column),
            COUNTED
        );
        Ok(u64::try_from(count.fetch_one(&self.pool).await?).unwrap_or(0))
    }

    /// How those of these jobs that are finished have ended, as their rows say; what is not kept any more counts as removed.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn finished_among(&self, jobs: &[Uuid]) -> Result<HashMap<Uuid, String>, StoreError> {
        let finished = sqlx::query!(
            r#"select asked.id as "id!", coalesce(j.status, 'removed') as "status!"
               from unnest($1::uuid[]) as asked (id) left join jobs j on j.id = asked.id
               where j.id is null or j.finished_at is not null"#,
            jobs
        );
        Ok(finished.fetch_all(&self.pool).await?.into_iter().map(|row| (row.id, row.status)).collect())
    }
}
