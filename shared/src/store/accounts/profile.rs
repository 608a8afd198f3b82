//! What somebody logs in with, and what they see and change of themselves.

use chrono::{DateTime, Utc};

use super::changes::tell_of_change;
use super::sessions::end_all;
use super::version;
use crate::auth::Role;
use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Somebody who logs in.
#[derive(Debug, Clone)]
pub struct CredentialRecord {
    /// Who.
    pub id: UserId,
    /// What they may do.
    pub role: Role,
    /// A PHC string; `None` when nobody can log in with a password.
    pub password_hash: Option<String>,
    /// The version of their sessions.
    pub version: u32,
    /// They have set up a second factor.
    pub has_second_factor: bool,
}

/// Somebody, as they see themselves.
#[derive(Debug, Clone)]
pub struct ProfileRecord {
    /// Who.
    pub id: UserId,
    /// Lower case.
    pub email: String,
    /// A code that went there has come back.
    pub is_email_verified: bool,
    /// Lower case.
    pub login: Option<String>,
    /// `+` and digits, or digits alone.
    pub phone: Option<String>,
    /// As given.
    pub first_name: String,
    /// As given.
    pub last_name: String,
    /// `en`, `uk` or `ru`.
    pub language: String,
    /// They want SMS about their bookings and orders.
    pub has_sms_updates: bool,
    /// What they may do.
    pub role: Role,
    /// When they agreed to the processing of their data.
    pub consent_at: Option<DateTime<Utc>>,
    /// To which text.
    pub consent_version: Option<String>,
    /// When they registered.
    pub created_at: DateTime<Utc>,
    /// They have set up a second factor.
    pub has_second_factor: bool,
}

macro_rules! credentials {
    ($row:expr) => {
        $row.map(|row| CredentialRecord {
            id: UserId(row.id),
            role: Role::from_word(&row.role),
            password_hash: row.password_hash,
            version: version(row.session_version),
            has_second_factor: row.has_second_factor,
        })
    };
}

impl Store {
    /// Finds somebody to log in, by e-mail or login name (lower case).
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn credentials(&self, login: &str) -> Result<Option<CredentialRecord>, StoreError> {
        // Two look-ups, each by its own index; one with `or` would read all people.
        let row = sqlx::query!(
            r#"select u.id as "id!", u.role as "role!", u.password_hash, u.session_version as "session_version!",
                   exists (select 1 from second_factors f where f.user_id = u.id and f.confirmed_at is not null)
                       as "has_second_factor!"
               from (select * from users where email = $1 union all select * from users where login = $1) u
               limit 1"#,
            login
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(credentials!(row))
    }

    /// The credentials of somebody who is not erased.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn credentials_of(&self, user: UserId) -> Result<Option<CredentialRecord>, StoreError> {
        let row = sqlx::query!(
            r#"select u.id, u.role, u.password_hash, u.session_version,
                   exists (select 1 from second_factors f where f.user_id = u.id and f.confirmed_at is not null)
                       as "has_second_factor!"
               from users u where u.id = $1 and u.erased_at is null"#,
            user.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(credentials!(row))
    }

    /// Somebody, as they see themselves; `None` when they are erased.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn profile(&self, user: UserId) -> Result<Option<ProfileRecord>, StoreError> {
        let row = sqlx::query!(
            r#"select u.id, u.email, u.login, u.phone, u.first_name, u.last_name, u.language, u.sms_updates, u.role,
                   u.consent_at, u.consent_version, u.created_at, u.email_verified_at is not null as "is_email_verified!",
                   exists (select 1 from second_factors f where f.user_id = u.id and f.confirmed_at is not null)
                       as "has_second_factor!"
               from users u where u.id = $1 and u.erased_at is null"#,
            user.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ProfileRecord {
            id: UserId(row.id),
            email: row.email,
            is_email_verified: row.is_email_verified,
            login: row.login,
            phone: row.phone,
            first_name: row.first_name,
            last_name: row.last_name,
            language: row.language,
            has_sms_updates: row.sms_updates,
            role: Role::from_word(&row.role),
            consent_at: row.consent_at,
            consent_version: row.consent_version,
            created_at: row.created_at,
            has_second_factor: row.has_second_factor,
        }))
    }

    /// Changes what needs no code; what is `None` stays. False when there is nobody.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn update_profile(
        &self,
        user: UserId,
        (first_name, last_name): (Option<&str>, Option<&str>),
        language: Option<&str>,
        has_sms_updates: Option<bool>,
    ) -> Result<bool, StoreError> {
        let updated = sqlx::query!(
            "update users set first_name = coalesce($2, first_name), last_name = coalesce($3, last_name),
                 language = coalesce($4, language), sms_updates = coalesce($5, sms_updates)
             where id = $1 and erased_at is null",
            user.0,
            first_name,
            last_name,
            language,
            has_sms_updates
        )
        .execute(&self.pool)
        .await?;
        Ok(updated.rows_affected() > 0)
    }

    /// Replaces a password, tells the e-mail address, and ends all sessions; the version that later ones have. `None` when the password is not
    /// the one that was read, `was`, any more.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn replace_password(
        &self,
        user: UserId,
        was: &str,
        password_hash: &str,
    ) -> Result<Option<u32>, StoreError> {
        let mut tx = self.begin().await?;
        let replaced = sqlx::query!(
            "update users set password_hash = $3 where id = $1 and password_hash = $2 and erased_at is null",
            user.0,
            was,
            password_hash
        )
        .execute(&mut *tx)
        .await?;
        if replaced.rows_affected() == 0 {
            return Ok(None);
        }
        tell_of_change(&mut tx, user, "password", None).await?;
        let version = end_all(&mut tx, user).await?;
        tx.commit().await?;
        Ok(Some(version))
    }

    /// Whether somebody else has this value; `field` is `email`, `login` or `phone`.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn is_taken(&self, field: &str, value: &str) -> Result<bool, StoreError> {
        let is_taken = sqlx::query_scalar!(
            r#"select case $1
                   when 'email' then exists (select 1 from users where email = $2)
                   when 'login' then exists (select 1 from users where login = $2)
                   else exists (select 1 from users where phone = $2)
               end as "is_taken!""#,
            field,
            value
        );
        Ok(is_taken.fetch_one(&self.pool).await?)
    }
}
