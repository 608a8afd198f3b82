//! Second factors: sealed secrets, the steps that were used, and recovery codes.

use chrono::{DateTime, Utc};

use super::sessions::raise_version;
use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Failures in a row after which one has to wait, twice as long each time.
const FAILURES: i32 = 5;
/// The longest wait, in seconds.
const LONGEST_S: f64 = 900.0;

/// A second factor.
#[derive(Debug, Clone)]
pub struct SecondFactorRecord {
    /// The sealed secret.
    pub secret: Vec<u8>,
    /// It is in use; until then it was only begun.
    pub is_confirmed: bool,
    /// After so many failures nothing is looked at until then.
    pub blocked_until: Option<DateTime<Utc>>,
    /// PostgreSQL's clock.
    pub now: DateTime<Utc>,
}

impl Store {
    /// The second factor of somebody.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactorRecord>, StoreError> {
        let row = sqlx::query!(
            r#"select secret, confirmed_at, blocked_until, clock_timestamp() as "now!" from second_factors
               where user_id = $1"#,
            user.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| SecondFactorRecord {
            secret: row.secret,
            is_confirmed: row.confirmed_at.is_some(),
            blocked_until: row.blocked_until.filter(|until| *until > row.now),
            now: row.now,
        }))
    }

    /// Begins a second factor, in the place of one that was only begun; false when one is in use.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_second_factor(&self, user: UserId, secret: &[u8]) -> Result<bool, StoreError> {
        let begun = sqlx::query!(
            "insert into second_factors (user_id, secret) values ($1, $2)
             on conflict (user_id) do update
                 set secret = excluded.secret, failures = 0, blocked_until = null, created_at = clock_timestamp()
                 where second_factors.confirmed_at is null",
            user.0,
            secret
        )
        .execute(&self.pool)
        .await?;
        Ok(begun.rows_affected() > 0)
    }

    /// Takes a second factor into use with its recovery codes, and ends access tokens that were given without it; the
    /// version that later sessions have. `None` when it is in use already, or not there.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn confirm_second_factor(
        &self,
        user: UserId,
        step: i64,
        recovery_hashes: &[Vec<u8>],
    ) -> Result<Option<u32>, StoreError> {
        let mut tx = self.begin().await?;
        let confirmed = sqlx::query!(
            "update second_factors
             set confirmed_at = clock_timestamp(), last_step = $2, failures = 0, blocked_until = null
             where user_id = $1 and confirmed_at is null",
            user.0,
            step
        )
        .execute(&mut *tx)
        .await?;
        if confirmed.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query!(
            "insert into recovery_codes (user_id, code_hash) select $1, hash from unnest($2::bytea[]) as hash",
            user.0,
            recovery_hashes
        )
        .execute(&mut *tx)
        .await?;
        let version = super::sessions::end_all(&mut tx, user).await?;
        tx.commit().await?;
        Ok(Some(version))
    }

    /// Counts a try as one that fails, until it is found to be right; from the fifth in a row on there is a rest after each.
    /// `None` during one, and where there is no second factor.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn try_second_factor(&self, user: UserId) -> Result<Option<SecondFactorRecord>, StoreError> {
        // Written before the digits are looked at, so that many at once are not more tries.
        let row = sqlx::query!(
            r#"update second_factors set failures = failures + 1,
                   blocked_until = case when failures + 1 >= $2 then clock_timestamp()
                       + make_interval(secs => least(power(2, least(failures, 20)), $3)) end
               where user_id = $1 and (blocked_until is null or blocked_until <= clock_timestamp())
               returning secret, confirmed_at, clock_timestamp() as "now!""#,
            user.0,
            FAILURES,
            LONGEST_S
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| SecondFactorRecord {
            secret: row.secret,
            is_confirmed: row.confirmed_at.is_some(),
            blocked_until: None,
            now: row.now,
        }))
    }

    /// Takes the password of a step; false when it, or a later one, was taken before.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn take_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        let taken = sqlx::query!(
            "update second_factors set last_step = $2, failures = 0, blocked_until = null
             where user_id = $1 and confirmed_at is not null and last_step < $2",
            user.0,
            step
        )
        .execute(&self.pool)
        .await?;
        Ok(taken.rows_affected() > 0)
    }

    /// Uses a recovery code up; false when there is no such one, or it was used.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn take_recovery_code(&self, user: UserId, hash: &[u8]) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        // The factor before its codes, as whoever deletes it locks them.
        sqlx::query!(
            "update second_factors set failures = 0, blocked_until = null where user_id = $1",
            user.0
        )
        .execute(&mut *tx)
        .await?;
        let taken = sqlx::query!(
            "update recovery_codes set used_at = clock_timestamp()
             where user_id = $1 and code_hash = $2 and used_at is null",
            user.0,
            hash
        )
        .execute(&mut *tx)
        .await?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Takes a second factor out of use, and ends the access tokens of before; the version that later ones have. `None` when
    /// there is none.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn delete_second_factor(&self, user: UserId) -> Result<Option<u32>, StoreError> {
        let mut tx = self.begin().await?;
        let deleted = sqlx::query!("delete from second_factors where user_id = $1", user.0);
        let version = if deleted.execute(&mut *tx).await?.rows_affected() > 0 {
            Some(raise_version(&mut tx, user).await?)
        } else {
            None
        };
        tx.commit().await?;
        Ok(version)
    }
}
