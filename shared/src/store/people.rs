//! People who log in.

use uuid::Uuid;

use super::accounts::{CodeLimits, NewCode, write_code};
use super::{Store, StoreError};
use crate::auth::Role;
use crate::domain::UserId;

/// Somebody who registers.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Lower case.
    pub email: String,
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
    /// A PHC string.
    pub password_hash: String,
    /// Which text was agreed to.
    pub consent_version: String,
    /// The code that shows the e-mail address to be theirs, from which its digits follow.
    pub code: Uuid,
    /// A keyed hash of its digits.
    pub code_hash: Vec<u8>,
}

/// Somebody who is registered.
#[derive(Debug, Clone)]
pub struct UserRecord {
    /// Their id.
    pub id: UserId,
    /// Lower case.
    pub email: String,
    /// As given.
    pub first_name: String,
    /// As given.
    pub last_name: String,
    /// What they may do.
    pub role: Role,
    /// A PHC string; `None` when nobody can log in with a password.
    pub password_hash: Option<String>,
}

impl Store {
    /// Adds a shopper, and sends a code to their e-mail address. One that got too many codes gets none now.
    ///
    /// # Errors
    /// The constraint `users_email_key`, `users_login_key` or `users_phone_key` when one is taken.
    pub async fn insert_user(&self, user: &NewUser, limits: &CodeLimits) -> Result<UserId, StoreError> {
        let mut tx = self.begin().await?;
        let id = sqlx::query_scalar!(
            "insert into users
                 (email, login, phone, first_name, last_name, language, password_hash, consent_at, consent_version)
             values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8)
             returning id",
            user.email,
            user.login,
            user.phone,
            user.first_name,
            user.last_name,
            user.language,
            user.password_hash,
            user.consent_version,
        )
        .fetch_one(&mut *tx)
        .await?;
        let code = NewCode {
            id: user.code,
            user: UserId(id),
            purpose: "verify",
            channel: "email",
            target: None,
            new_value: None,
            digits_hash: user.code_hash.clone(),
        };
        write_code(&mut tx, &code, limits).await?;
        tx.commit().await?;
        Ok(UserId(id))
    }

    /// Finds somebody by id.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        let row = sqlx::query!(
            "select id, email, first_name, last_name, role, password_hash from users where id = $1",
            id.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| UserRecord {
            id: UserId(row.id),
            email: row.email,
            first_name: row.first_name,
            last_name: row.last_name,
            role: Role::from_word(&row.role),
            password_hash: row.password_hash,
        }))
    }

    /// Writes a line into the audit log.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn insert_audit(
        &self,
        ip: Option<std::net::IpAddr>,
        user: Option<UserId>,
        action: &str,
        object: &str,
        result: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into audit_log (ip, user_id, action, object, result)
             values ($1::text::inet, $2, $3, $4, $5)",
            ip.map(|ip| ip.to_string()),
            user.map(|user| user.0),
            action,
            object,
            result
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
