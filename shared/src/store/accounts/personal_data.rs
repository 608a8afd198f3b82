//! All that is kept of somebody: to hand out, and to erase.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::api_keys::revoke_keys_of;
use super::sessions::end_all;
use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Rows of one kind that are handed out at most.
const MOST: i64 = 10_000;
/// No index finds a person's requests and messages: it would cost every booking, and these are read once in years.
const BEGIN: &str = "begin; set local statement_timeout = '14s'";

/// What came of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    /// It is done.
    Done {
        /// The version that ended all sessions.
        version: u32,
        /// API keys that were revoked with it.
        revoked: Vec<Uuid>,
    },
    /// A payment is under way.
    PaymentUnderWay,
    /// There is nobody, or no more.
    Nobody,
}

impl Store {
    /// All that is kept of somebody, as a JSON object of lists.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn personal_data(&self, user: UserId) -> Result<Option<String>, StoreError> {
        let mut tx = self.begin_with(BEGIN).await?;
        let data = sqlx::query_file_scalar!("src/store/sql/personal_data.sql", user.0, MOST)
            .fetch_optional(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(data.flatten())
    }

    /// Replaces everything that names somebody. Orders stay, without the person; nobody can log in any more.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn erase_user(&self, user: UserId) -> Result<Erased, StoreError> {
        let mut tx = self.begin_with(BEGIN).await?;
        let is_paying = sqlx::query_scalar!(
            r#"select exists (select 1 from orders
                   where user_id = $1 and status in ('awaiting_payment', 'expiring')) as "is_paying!""#,
            user.0
        )
        .fetch_one(&mut *tx)
        .await?;
        if is_paying {
            return Ok(Erased::PaymentUnderWay);
        }
        let erased: Option<DateTime<Utc>> = sqlx::query_scalar!(
            r#"update users
               set email = format('erased-%s@erased.invalid', id), login = null, phone = null, password_hash = null,
                   first_name = 'Erased', last_name = '', language = 'en', sms_updates = false, role = 'shopper',
                   email_verified_at = null, erased_at = clock_timestamp()
               where id = $1 and erased_at is null and not is_service returning erased_at as "erased_at!""#,
            user.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        if erased.is_none() {
            return Ok(Erased::Nobody);
        }
        sqlx::query!("update orders set ip = null where user_id = $1 and ip is not null", user.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("update job_outcomes set ip = null where user_id = $1 and ip is not null", user.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("delete from mailbox where user_id = $1", user.0).execute(&mut *tx).await?;
        sqlx::query!("delete from codes where user_id = $1", user.0).execute(&mut *tx).await?;
        sqlx::query!("delete from account_changes where user_id = $1", user.0).execute(&mut *tx).await?;
        sqlx::query!("delete from second_factors where user_id = $1", user.0).execute(&mut *tx).await?;
        let version = end_all(&mut tx, user).await?;
        let revoked = revoke_keys_of(&mut tx, user).await?;
        tx.commit().await?;
        Ok(Erased::Done { version, revoked })
    }

    /// Bookings of somebody that are open.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn open_bookings(&self, user: UserId) -> Result<Vec<crate::domain::BookingId>, StoreError> {
        let ids =
            sqlx::query_scalar!("select id from bookings where user_id = $1 and status = 'created'", user.0);
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(crate::domain::BookingId).collect())
    }
}
