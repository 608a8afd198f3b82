//! How jobs ended.

use std::collections::HashMap;

use super::claims::slot_column;
use super::{Store, StoreError};
use crate::domain::{Envelope, EventId, Outcome, Refusal, Reservation, UserId};

/// An outcome as it is stored.
pub(super) fn read_outcome(
    status: &str,
    code: Option<&str>,
    result: Option<serde_json::Value>,
) -> Result<Outcome, StoreError> {
    match (status, code, result) {
        ("completed", _, Some(result)) => serde_json::from_value(result)
            .map(Outcome::Completed)
            .map_err(|_| StoreError::Row("the result of a job")),
        ("failed", Some(code), _) => {
            Ok(Outcome::Failed(Refusal::from_code(code).unwrap_or(Refusal::Internal)))
        }
        _ => Err(StoreError::Row("the status of a job")),
    }
}

/// Number, nonce, user, status, code, result.
pub(super) type OutcomeRow = (i64, i64, UserId, String, Option<String>, Option<serde_json::Value>);

/// The outcomes of jobs (numbers and nonces), by number. A row of another job with the same number ends this one too,
/// as a failure.
pub(super) fn known_outcomes(
    event: EventId,
    jobs: &[(u64, u64)],
    rows: Vec<OutcomeRow>,
) -> Result<HashMap<u64, (UserId, Outcome)>, StoreError> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let nonces: HashMap<u64, u64> = jobs.iter().copied().collect();
    rows.into_iter()
        .map(|(number, nonce, user, status, code, result)| {
            let number = number.cast_unsigned();
            let outcome = if nonces.get(&number) == Some(&nonce.cast_unsigned()) {
                read_outcome(&status, code.as_deref(), result)?
            } else {
                tracing::error!(event.id = event.0, job.number = number, "two jobs have the same number");
                Outcome::Failed(Refusal::Internal)
            };
            Ok((number, (user, outcome)))
        })
        .collect()
}

impl Store {
    /// The outcomes that exist of these jobs, with whose they are. A row of another job with the same number (its
    /// nonce differs) ends this one too, as a failure: its number is used up.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn outcomes(
        &self,
        event: EventId,
        jobs: &[(u64, u64)],
    ) -> Result<HashMap<u64, (UserId, Outcome)>, StoreError> {
        let numbers: Vec<i64> = jobs.iter().filter_map(|(number, _)| i64::try_from(*number).ok()).collect();
        let rows = sqlx::query!(
            // Each by its key: see `sql/read_batch.sql`.
            "select o.number, o.nonce, o.user_id, o.status, o.code, o.result
             from unnest($2::bigint[]) as job (number), lateral (
                 select * from job_outcomes where event_id = $1 and number = job.number limit 1
             ) o",
            event.0,
            &numbers
        )
        .map(|row| (row.number, row.nonce, UserId(row.user_id), row.status, row.code, row.result))
        .fetch_all(&self.pool)
        .await?;
        known_outcomes(event, jobs, rows)
    }

    /// Ends a job that nobody has decided yet; answers with the outcome that stands.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn end_job(
        &self,
        event: EventId,
        number: u64,
        envelope: &Envelope,
        refusal: Refusal,
    ) -> Result<Outcome, StoreError> {
        let mut standing = self.end_jobs(event, &[(number, envelope)], refusal).await?;
        standing.remove(&number).ok_or(StoreError::Row("an outcome just written"))
    }

    /// Makes of a job that won one whose owner has left, where all that it won is given back. One whose places are being paid
    /// for, or are paid, stays as it is.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_left(
        &self,
        event: EventId,
        number: u64,
        nonce: u64,
        won: &Reservation,
    ) -> Result<(), StoreError> {
        let seats: Vec<i64> = won.seats.iter().map(|seat| seat.0).collect();
        let (areas, slots): (Vec<i64>, Vec<i32>) =
            won.slots.iter().map(|(area, slot)| (area.0, slot_column(*slot))).unzip();
        sqlx::query!(
            "update job_outcomes set status = 'failed', code = $4, result = null
             where event_id = $1 and number = $2 and nonce = $3 and status = 'completed'
                 and not exists (select from seat_claims where booking_id = $5 and seat_id = any($6::bigint[]))
                 and not exists (
                     select from area_claims c join unnest($7::bigint[], $8::integer[]) as won (area_id, slot)
                         using (area_id, slot)
                     where c.booking_id = $5)",
            event.0,
            number.cast_signed(),
            nonce.cast_signed(),
            Refusal::Left.code(),
            won.booking.0,
            &seats,
            &areas,
            &slots
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends jobs that nobody has decided yet; answers with the outcomes that stand.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn end_jobs(
        &self,
        event: EventId,
        jobs: &[(u64, &Envelope)],
        refusal: Refusal,
    ) -> Result<HashMap<u64, Outcome>, StoreError> {
        let numbers: Vec<i64> = jobs.iter().map(|(number, _)| number.cast_signed()).collect();
        let nonces: Vec<i64> = jobs.iter().map(|(_, job)| job.nonce.cast_signed()).collect();
        let owners: Vec<i64> = jobs.iter().map(|(_, job)| job.owner.0).collect();
        let may_stand_by: Vec<bool> = jobs.iter().map(|(_, job)| job.request.standby).collect();
        sqlx::query!(
            "insert into job_outcomes (event_id, number, nonce, user_id, status, code, may_stand_by)
             select $1, number, nonce, user_id, 'failed', $5, may_stand_by
             from unnest($2::bigint[], $3::bigint[], $4::bigint[], $6::boolean[])
                 as job (number, nonce, user_id, may_stand_by)
             on conflict (event_id, number) do nothing",
            event.0,
            &numbers,
            &nonces,
            &owners,
            refusal.code(),
            &may_stand_by
        )
        .execute(&self.pool)
        .await?;
        let keys: Vec<(u64, u64)> = jobs.iter().map(|(number, job)| (*number, job.nonce)).collect();
        let standing = self.outcomes(event, &keys).await?;
        Ok(standing.into_iter().map(|(number, (_, outcome))| (number, outcome)).collect())
    }
}
