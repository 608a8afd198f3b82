//! Jobs of named queues, as they stand in PostgreSQL.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::queue::BOOKINGS;
use crate::queue::jobs::JobEnding;
use crate::tickets;

/// A job to write, in the transaction of the fact it follows from.
#[derive(Debug, Clone)]
pub struct NewNamedJob<P> {
    /// Of which queue.
    pub queue: &'static str,
    /// In which of its lanes.
    pub lane: u16,
    /// What is to be done.
    pub payload: P,
    /// Not before.
    pub run_at: Option<DateTime<Utc>>,
}

/// A job that is not finished.
#[derive(Debug, Clone)]
pub struct UnfinishedJob {
    /// Its id.
    pub id: Uuid,
    /// Its lane.
    pub lane: u16,
    /// What is to be done, as JSON.
    pub payload: String,
    /// Not before.
    pub run_at: Option<DateTime<Utc>>,
    /// It was queued in another epoch of Redis.
    pub was_queued: bool,
    /// Its number in the lane then, as far as it is known.
    pub number: Option<u64>,
}

/// A job that was queued.
#[derive(Debug, Clone, Copy)]
pub struct QueuedJob {
    /// Its id.
    pub id: Uuid,
    /// Its number in the lane; `None` for one that is for later.
    pub number: Option<u64>,
    /// What its row said before.
    pub number_before: Option<u64>,
}

/// A job that was removed, as its row says.
#[derive(Debug, Clone)]
pub struct RemovedJob {
    /// Its id.
    pub id: Uuid,
    /// Its lane.
    pub lane: u16,
    /// Its number in the lane, as it was queued or tried last.
    pub number: Option<u64>,
    /// What was to be done, as JSON.
    pub payload: String,
}

/// A job that may run now, as its row says.
#[derive(Debug, Clone)]
pub struct PromotedJob {
    /// Its lane.
    pub lane: u16,
    /// What is to be done, as JSON.
    pub payload: String,
    /// Its number in the lane, as it was queued or tried last.
    pub number: Option<u64>,
    /// The epoch of Redis in which it was queued.
    pub queued_in: Option<String>,
    /// It was for later.
    pub was_later: bool,
}

/// A lane as its column has it; there is no -1.
pub(super) fn lane_column(lane: u16) -> i16 {
    i16::try_from(lane).unwrap_or(-1)
}

/// A lane as its column says.
pub(super) fn lane_of(column: i16) -> u16 {
    u16::try_from(column).unwrap_or(0)
}

/// A number in a lane as its column says.
pub(super) fn number_of(column: Option<i64>) -> Option<u64> {
    column.and_then(|number| u64::try_from(number).ok())
}

/// A number in a lane as its column has it.
fn number_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes a job; returns its id.
///
/// # Errors
/// PostgreSQL is away, or the lane is none.
pub async fn insert_job<P: Serialize + Sync>(
    connection: &mut PgConnection,
    job: &NewNamedJob<P>,
) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let payload =
        serde_json::to_string(&job.payload).map_err(|_| StoreError::Row("a payload that is no JSON"))?;
    sqlx::query!(
        "insert into jobs (id, queue, lane, payload, run_at) values ($1, $2, $3, $4::text::json, $5)",
        id,
        job.queue,
        lane_column(job.lane),
        payload,
        job.run_at
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Writes jobs under ids that the caller chose, any number in one statement; what is there already stays as it is.
///
/// # Errors
/// As [`insert_job`].
pub async fn insert_jobs_once<P: Serialize + Sync>(
    connection: &mut PgConnection,
    jobs: &[(Uuid, NewNamedJob<P>)],
) -> Result<(), StoreError> {
    let (mut ids, mut queues, mut lanes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut payloads, mut times) = (Vec::new(), Vec::new());
    for (id, job) in jobs {
        ids.push(*id);
        queues.push(job.queue.to_owned());
        lanes.push(lane_column(job.lane));
        let json = serde_json::to_string(&job.payload);
        payloads.push(json.map_err(|_| StoreError::Row("a payload that is no JSON"))?);
        times.push(job.run_at);
    }
    sqlx::query!(
        "insert into jobs (id, queue, lane, payload, run_at)
         select id, queue, lane, payload::json, run_at
         from unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::timestamptz[])
             as job (id, queue, lane, payload, run_at)
         order by id on conflict (id) do nothing",
        &ids,
        &queues,
        &lanes,
        &payloads,
        &times as &[Option<DateTime<Utc>>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Writes a job by itself.
    ///
    /// # Errors
    /// As [`insert_job`].
    pub async fn add_job<P: Serialize + Sync>(&self, job: &NewNamedJob<P>) -> Result<Uuid, StoreError> {
        let mut connection = self.pool.acquire().await?;
        insert_job(&mut connection, job).await
    }

    /// Queues with jobs that are not finished.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn queues_at_work(&self) -> Result<Vec<String>, StoreError> {
        // From name to name by the index, whatever number of jobs each has.
        let names = sqlx::query_scalar!(
            r#"with recursive names as (
                   (select queue from jobs where finished_at is null order by queue limit 1)
                   union all
                   select (select j.queue from jobs j where j.finished_at is null and j.queue > n.queue
                           order by j.queue limit 1)
                   from names n where n.queue is not null
               )
               select queue as "queue!" from names where queue is not null"#
        );
        Ok(names.fetch_all(&self.pool).await?)
    }

    /// Queues of which jobs are kept, finished or not.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn queues_with_jobs(&self) -> Result<Vec<String>, StoreError> {
        // From name to name by the index, as above.
        let names = sqlx::query_scalar!(
            r#"with recursive names as (
                   (select queue from jobs order by queue limit 1)
                   union all
                   select (select j.queue from jobs j where j.queue > n.queue order by j.queue limit 1)
                   from names n where n.queue is not null
               )
               select queue as "queue!" from names where queue is not null"#
        );
        Ok(names.fetch_all(&self.pool).await?)
    }

    /// Queues beside the bookings that have work, or are paused or limited.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn named_queues(&self) -> Result<Vec<String>, StoreError> {
        let controlled =
            sqlx::query_scalar!("select distinct queue from queue_controls where queue <> $1", BOOKINGS);
        let mut names = controlled.fetch_all(&self.pool).await?;
        names.extend(self.queues_at_work().await?);
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Jobs of a queue that are not finished, due within the hour, and were not queued in this epoch of Redis, oldest
    /// first; none of the lanes that are `full`.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn jobs_to_queue(
        &self,
        queue: &str,
        epoch: &str,
        full: &[i16],
        at_most: i64,
    ) -> Result<Vec<UnfinishedJob>, StoreError> {
        let rows = sqlx::query!(
            r#"select id as "id!", lane as "lane!", payload::text as "payload!", run_at as "run_at?", number as "number?",
                   queued_in is not null as "was_queued!"
               from (
                   (select * from jobs where queue = $1 and finished_at is null and queued_in is null
                        and (run_at is null or run_at < statement_timestamp() + interval '1 hour') and lane <> all($3)
                    order by created_at, id limit $4)
                   union all
                   (select * from jobs where queue = $1 and finished_at is null and queued_in < $2
                        and (run_at is null or run_at < statement_timestamp() + interval '1 hour') and lane <> all($3)
                    order by created_at, id limit $4)
                   union all
                   (select * from jobs where queue = $1 and finished_at is null and queued_in > $2
                        and (run_at is null or run_at < statement_timestamp() + interval '1 hour') and lane <> all($3)
                    order by created_at, id limit $4)) to_queue
               order by created_at, id limit $4"#,
            queue,
            epoch,
            full,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| UnfinishedJob {
                id: row.id,
                lane: lane_of(row.lane),
                payload: row.payload,
                run_at: row.run_at,
                was_queued: row.was_queued,
                number: number_of(row.number),
            })
            .collect())
    }

    /// These are queued in this epoch, each under its number in the lane, where it has one already. Without one, that of an
    /// epoch before is forgotten, which is the one that was read; it may have been begun under a new one meanwhile.
    ///
    /// # Errors
    /// PostgreSQL is away; they are then queued once more, which does no harm.
    pub async fn note_queued(&self, jobs: &[QueuedJob], epoch: &str) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        let column = |number: fn(&QueuedJob) -> Option<u64>| -> Vec<Option<i64>> {
            jobs.iter().map(|job| number(job).map(number_column)).collect()
        };
        sqlx::query!(
            "update jobs set queued_in = $4, number = case
                 when queued.number is not null then queued.number
                 when jobs.queued_in is distinct from $4 and jobs.number is not distinct from queued.before then null
                 else jobs.number end
             from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as queued (id, number, before)
             where jobs.id = queued.id",
            &ids,
            &column(|job| job.number) as &[Option<i64>],
            &column(|job| job.number_before) as &[Option<i64>],
            epoch
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Counts an attempt of those of these jobs that are not finished, before it begins, so that one which ends its worker
    /// counts too; returns these jobs with their attempts. A job may be delivered more than once. Each comes with its
    /// number in the lane, by which it is found where it rests.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_attempts(&self, jobs: &[(Uuid, u64)]) -> Result<HashMap<Uuid, u32>, StoreError> {
        let (ids, numbers): (Vec<Uuid>, Vec<i64>) =
            jobs.iter().map(|(id, number)| (*id, number_column(*number))).unzip();
        let rows = sqlx::query!(
            "update jobs set attempts = attempts + 1, progress = null, progress_at = null,
                 number = ($2::bigint[])[array_position($1, id)]
             where id = any($1) and finished_at is null
             returning id, attempts",
            &ids,
            &numbers
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, u32::try_from(row.attempts).unwrap_or(0))).collect())
    }

    /// How those of these jobs that are finished have ended, as a lane is told.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn ends_of(&self, jobs: &[Uuid]) -> Result<HashMap<Uuid, JobEnding>, StoreError> {
        let rows = sqlx::query!(
            "select id, status, error from jobs where id = any($1) and finished_at is not null",
            jobs
        )
        .fetch_all(&self.pool)
        .await?;
        let ending = |status: &str, error: Option<String>| match status {
            "completed" => JobEnding::Completed,
            "failed" => JobEnding::Failed(error.unwrap_or_default()),
            _ => JobEnding::Removed,
        };
        Ok(rows.into_iter().map(|row| (row.id, ending(&row.status, row.error))).collect())
    }

    /// Writes how far an attempt has come, in percent; nothing when it is not the job's last one any more.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_progress(&self, id: Uuid, attempt: u32, percent: u8) -> Result<(), StoreError> {
        sqlx::query!(
            "update jobs set progress = $3, progress_at = clock_timestamp()
             where id = $1 and attempts = $2 and finished_at is null",
            id,
            i32::try_from(attempt).unwrap_or(i32::MAX),
            i16::from(percent.min(100))
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes how an attempt ended; `status` is `None` while further ones follow. What is finished stays as it is.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_attempt(
        &self,
        id: Uuid,
        status: Option<&str>,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update jobs
             set error = coalesce($3, error), status = coalesce($2, status), progress = null, progress_at = null,
                 finished_at = case when $2::text is null then null else clock_timestamp() end
             where id = $1 and finished_at is null",
            id,
            status,
            error
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Forgets jobs that were finished so long ago, so many at most, those first that were finished first, so that none is
    /// there without the job that does it once more; returns how many. Failed ones of tickets stay: nothing else tells that
    /// these are owed.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_jobs(&self, days: i32, at_most: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query!(
            "delete from jobs where id in (
                 select id from jobs where finished_at < statement_timestamp() - make_interval(days => $1)
                     and not (queue = $3 and status = 'failed')
                 order by finished_at limit $2)",
            days,
            at_most,
            tickets::QUEUE
        )
        .execute(&self.pool)
        .await?;
        Ok(gone.rows_affected())
    }
}

/// A named queue, as operators see it.
#[derive(Debug, Clone)]
pub struct QueueRecord {
    /// Its name.
    pub name: String,
    /// Jobs that are not finished.
    pub waiting: i64,
    /// Those of them that have failed before, or whose worker died at them.
    pub retrying: i64,
    /// Jobs that failed for good and are still kept.
    pub failed: i64,
    /// When the oldest unfinished one was written.
    pub oldest: Option<DateTime<Utc>>,
}

/// A job, as operators see it; what it is about is not shown, as it may be somebody's secret.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its id.
    pub id: Uuid,
    /// Its lane.
    pub lane: i16,
    /// Its number there, as it was queued or tried last.
    pub number: Option<i64>,
    /// `waiting`, `completed`, `failed`, `removed`.
    pub status: String,
    /// Attempts that were begun.
    pub attempts: i32,
    /// How the last failed one ended.
    pub error: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// Not before.
    pub run_at: Option<DateTime<Utc>>,
    /// When it was finished.
    pub finished_at: Option<DateTime<Utc>>,
    /// The failed job that this one does once more.
    pub retry_of: Option<Uuid>,
    /// How far the attempt that runs has come, in percent, as its handler said last.
    pub progress: Option<i16>,
    /// When it said so.
    pub progress_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Whether there is such a queue beside the bookings: jobs of it are kept, or it is paused or limited.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn is_queue(&self, queue: &str) -> Result<bool, StoreError> {
        let is_there = sqlx::query_scalar!(
            r#"select exists (select 1 from jobs where queue = $1)
                   or exists (select 1 from queue_controls where queue = $1 and queue <> $2) as "is_there!""#,
            queue,
            BOOKINGS
        );
        Ok(is_there.fetch_one(&self.pool).await?)
    }

    /// All named queues: those of which jobs are kept, and those that were paused or limited.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn queue_records(&self) -> Result<Vec<QueueRecord>, StoreError> {
        let with_jobs = self.queues_with_jobs().await?;
        // An attempt counts when it begins, so one alone says nothing; and one that ended with its worker left no error, but
        // another one follows.
        let rows = sqlx::query!(
            r#"with known as (
                   select unnest($2::text[]) as queue
                   union select queue from queue_controls where queue <> $1
               ), counted as (
                   select queue, count(*) filter (where finished_at is null) as waiting,
                       count(*) filter (where finished_at is null and (attempts > 1 or error is not null)) as retrying,
                       count(*) filter (where status = 'failed') as failed,
                       min(created_at) filter (where finished_at is null) as oldest
                   from jobs where finished_at is null or status = 'failed' group by queue
               )
               select known.queue as "queue!", coalesce(counted.waiting, 0) as "waiting!",
                   coalesce(counted.retrying, 0) as "retrying!", coalesce(counted.failed, 0) as "failed!",
                   counted.oldest as "oldest?"
               from known left join counted on counted.queue = known.queue order by known.queue"#,
            BOOKINGS,
            &with_jobs
        )
        .fetch_all(&self.pool)
        .await?;
        let of = rows.into_iter().map(|row| QueueRecord {
            name: row.queue,
            waiting: row.waiting,
            retrying: row.retrying,
            failed: row.failed,
            oldest: row.oldest,
        });
        Ok(of.collect())
    }

    /// A job of a queue, whatever its state.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn job_record(&self, queue: &str, id: Uuid) -> Result<Option<JobRecord>, StoreError> {
        let row = sqlx::query_as!(
            JobRecord,
            "select id, lane, number, status, attempts, error, created_at, run_at, finished_at, retry_of, progress,
                 progress_at
             from jobs where id = $2 and queue = $1",
            queue,
            id
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Jobs of a queue in one state, newest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn job_records(
        &self,
        queue: &str,
        status: &str,
        at_most: i64,
    ) -> Result<Vec<JobRecord>, StoreError> {
        let rows = sqlx::query_as!(
            JobRecord,
            "select id, lane, number, status, attempts, error, created_at, run_at, finished_at, retry_of, progress,
                 progress_at
             from jobs where queue = $1 and status = $2 order by created_at desc, id desc limit $3",
            queue,
            status,
            at_most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Writes a new job for each failed one that has none yet; the old and the new ids.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn retry_jobs(
        &self,
        queue: &str,
        only: Option<Uuid>,
        at_most: i64,
    ) -> Result<Vec<(Uuid, Uuid)>, StoreError> {
        let failed = sqlx::query_scalar!(
            "select f.id from jobs f
             where f.queue = $1 and f.status = 'failed' and ($2::uuid is null or f.id = $2)
                 and ($2::uuid is not null or not exists (select 1 from jobs r where r.retry_of = f.id))
             order by f.finished_at limit $3",
            queue,
            only,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        let new: Vec<Uuid> = failed.iter().map(|_| Uuid::now_v7()).collect();
        let rows = sqlx::query!(
            r#"insert into jobs (id, queue, lane, payload, retry_of)
               select new.id, f.queue, f.lane, f.payload, f.id
               from unnest($1::uuid[], $2::uuid[]) as new (id, old) join jobs f on f.id = new.old
               on conflict (retry_of) do update set retry_of = excluded.retry_of
               returning id, retry_of as "retry_of!""#,
            &new,
            &failed
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.retry_of, row.id)).collect())
    }

    /// A job that is not finished; when it is for later, it is for now from here on. `None` when there is no such job.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn promote_job(&self, queue: &str, id: Uuid) -> Result<Option<PromotedJob>, StoreError> {
        let row = sqlx::query!(
            r#"with job as (
                   select id, coalesce(run_at > statement_timestamp(), false) as was_later from jobs
                   where id = $2 and queue = $1 and finished_at is null for update
               )
               update jobs set run_at = case when job.was_later then null else jobs.run_at end
               from job where jobs.id = job.id
               returning jobs.lane as "lane!", jobs.payload::text as "payload!", jobs.number as "number?",
                   jobs.queued_in as "queued_in?", job.was_later as "was_later!""#,
            queue,
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| PromotedJob {
            lane: lane_of(row.lane),
            payload: row.payload,
            number: number_of(row.number),
            queued_in: row.queued_in,
            was_later: row.was_later,
        }))
    }

    /// Forgets jobs of a queue that ended in one of these states longer ago than this, those first that were written
    /// first. With one that does a failed job once more, that one goes too, whatever the limit: nobody could tell any more
    /// that it was retried. Returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn clean_jobs(
        &self,
        queue: &str,
        states: &[&str],
        older_than: Duration,
        at_most: i64,
    ) -> Result<u64, StoreError> {
        let states: Vec<String> = states.iter().map(|state| (*state).to_owned()).collect();
        // Nothing ends before it was written, so each state is read from its oldest on, and no further than so.
        let gone = sqlx::query!(
            "with recursive gone as (
                 (select oldest.id, oldest.retry_of from unnest($2::text[]) as state (word) cross join lateral (
                      select id, retry_of, created_at from jobs
                      where queue = $1 and status = state.word
                          and created_at < statement_timestamp() - make_interval(secs => $3)
                          and finished_at < statement_timestamp() - make_interval(secs => $3)
                      order by created_at, id limit $4
                  ) as oldest
                  order by oldest.created_at, oldest.id limit $4)
                 union
                 select f.id, f.retry_of from gone join jobs f on f.id = gone.retry_of
             )
             delete from jobs where finished_at is not null and id = any (array(select id from gone))",
            queue,
            &states,
            older_than.as_secs_f64(),
            at_most
        )
        .execute(&self.pool)
        .await?;
        Ok(gone.rows_affected())
    }
}
