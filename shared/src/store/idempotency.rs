//! Requests that came with an idempotency key.

use super::{Store, StoreError};

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is the first of its key, or the one before ended without an answer: it is to be worked on.
    New,
    /// It was answered with this.
    Answered(Vec<u8>),
    /// The same is being worked on right now.
    InProgress,
    /// The key was used with another body.
    Mismatch,
}

impl Store {
    /// Notes a request before it is worked on. One that has had no answer for a minute was given up.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_request(&self, id: &[u8], body_hash: &[u8]) -> Result<Begun, StoreError> {
        let begun = sqlx::query_scalar!(
            "insert into idempotent_requests as r (id, body_hash) values ($1, $2)
             on conflict (id) do update set created_at = clock_timestamp()
             where r.answer is null and r.body_hash = excluded.body_hash
                 and r.created_at < clock_timestamp() - interval '1 minute'
             returning id",
            id,
            body_hash
        )
        .fetch_optional(&self.pool)
        .await?;
        if begun.is_some() {
            return Ok(Begun::New);
        }
        let known = sqlx::query!("select body_hash, answer from idempotent_requests where id = $1", id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(match known {
            Some(row) if row.body_hash != body_hash => Begun::Mismatch,
            Some(row) => row.answer.map_or(Begun::InProgress, Begun::Answered),
            // It was given up between the two statements: whoever asks again is the first.
            None => Begun::InProgress,
        })
    }

    /// Keeps what a request was answered with.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn keep_answer(&self, id: &[u8], answer: &[u8]) -> Result<(), StoreError> {
        sqlx::query!("update idempotent_requests set answer = $2 where id = $1", id, answer)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets a request that had no effect, so that it may be made again.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_request(&self, id: &[u8]) -> Result<(), StoreError> {
        sqlx::query!("delete from idempotent_requests where id = $1 and answer is null", id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets requests that are more than a day old, so many at most; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_old_requests(&self, at_most: i64) -> Result<u64, StoreError> {
        let gone = sqlx::query!(
            "delete from idempotent_requests where id in (
                 select id from idempotent_requests
                 where created_at < clock_timestamp() - interval '1 day' order by created_at limit $1)",
            at_most
        );
        Ok(gone.execute(&self.pool).await?.rows_affected())
    }
}
