//! Codes that were sent to somebody, and what they confirm.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::changes::tell_of_change;
use super::sent_codes::{CodeLimit, CodeLimits, note_sent, too_many};
use super::sessions::{end_all, end_others};
use crate::domain::UserId;
use crate::messages::{Message, Outgoing, Recipient, send};
use crate::store::{Store, StoreError};

/// Times that a code may be tried.
const TRIES: i32 = 5;
/// What is asked for without a log-in, by whoever knows the name; counted apart from what only the owner asks for.
pub(super) const UNASKED: &str = "password";

/// A code to send.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// Its id, from which the digits follow.
    pub id: Uuid,
    /// Who asked for it.
    pub user: UserId,
    /// What it confirms: `email`, `phone`, `login`, `password`, or `verify` for the e-mail address as it is.
    pub purpose: &'static str,
    /// `email` or `sms`.
    pub channel: &'static str,
    /// Where it goes; `None` for the account's own e-mail address.
    pub target: Option<String>,
    /// What becomes of the field.
    pub new_value: Option<String>,
    /// A keyed hash of the digits.
    pub digits_hash: Vec<u8>,
}

/// What came of a new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuedCode {
    /// It is on its way.
    Sent {
        /// Until when it is good.
        expires_at: DateTime<Utc>,
    },
    /// Too many were sent.
    TooMany {
        /// For whom, and within which time.
        limit: CodeLimit,
        /// After which one may be sent again.
        seconds: u64,
    },
    /// There is nobody.
    Nobody,
}

/// A code that is being tried.
#[derive(Debug, Clone)]
pub struct CodeRecord {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user: UserId,
    /// What it confirms.
    pub purpose: String,
    /// What becomes of the field.
    pub new_value: Option<String>,
    /// A keyed hash of the digits.
    pub digits_hash: Vec<u8>,
    /// Tries that are left after this one.
    pub tries_left: u32,
}

impl Store {
    /// Writes a code and the message that brings it; those of before with the same purpose are good no more. Where too many
    /// were sent nothing is written, and the code of before stays good.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn issue_code(&self, code: &NewCode, limits: &CodeLimits) -> Result<IssuedCode, StoreError> {
        let mut tx = self.begin().await?;
        let issued = write_code(&mut tx, code, limits).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Counts a try of a code of somebody. `None` when it is not theirs, used, replaced, tried too often, or over.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn try_code(&self, user: UserId, id: Uuid) -> Result<Option<CodeRecord>, StoreError> {
        // Written before the digits are looked at, so that many at once are not more tries.
        let row = sqlx::query!(
            "update codes set tries = tries + 1
             where id = $1 and user_id = $2 and closed_at is null and tries < $3 and expires_at > clock_timestamp()
             returning id, user_id, purpose, new_value, digits_hash, tries",
            id,
            user.0,
            TRIES
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| CodeRecord {
            id: row.id,
            user: UserId(row.user_id),
            purpose: row.purpose,
            new_value: row.new_value,
            digits_hash: row.digits_hash,
            tries_left: u32::try_from(TRIES - row.tries).unwrap_or(0),
        }))
    }

    /// Whether a code is somebody's, whatever has become of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn has_code(&self, user: UserId, id: Uuid) -> Result<bool, StoreError> {
        let is_there = sqlx::query_scalar!(
            r#"select exists (select 1 from codes where id = $1 and user_id = $2) as "is_there!""#,
            id,
            user.0
        );
        Ok(is_there.fetch_one(&self.pool).await?)
    }

    /// The code of somebody that is open for a purpose.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn open_code(&self, user: UserId, purpose: &str) -> Result<Option<Uuid>, StoreError> {
        let id = sqlx::query_scalar!(
            "select id from codes where user_id = $1 and purpose = $2 and closed_at is null
             order by created_at desc limit 1",
            user.0,
            purpose
        );
        Ok(id.fetch_optional(&self.pool).await?)
    }

    /// Uses a code up and changes the field it was sent for; the address of before is told, with this hint at the new
    /// value. Another e-mail address, which the code has verified, ends all log-ins but `kept`; the answer is which. `None`
    /// when somebody was faster with the code.
    ///
    /// # Errors
    /// The constraint `users_email_key`, `users_login_key` or `users_phone_key` when the value is taken by now.
    pub async fn apply_code(
        &self,
        code: &CodeRecord,
        hint: &str,
        kept: Option<Uuid>,
    ) -> Result<Option<Vec<Uuid>>, StoreError> {
        let mut tx = self.begin().await?;
        if !use_up(&mut tx, code.id).await? {
            return Ok(None);
        }
        tell_of_change(&mut tx, code.user, &code.purpose, Some(hint)).await?;
        // The version refuses log-ins that are being verified; access tokens of before end by their log-in.
        sqlx::query!(
            "update users set session_version = session_version + case when $2 = 'email' then 1 else 0 end,
                 email = case when $2 = 'email' then $3 else email end,
                 email_verified_at = case when $2 = 'email' then clock_timestamp() else email_verified_at end,
                 login = case when $2 = 'login' then $3 else login end,
                 phone = case when $2 = 'phone' then $3 else phone end
             where id = $1 and erased_at is null",
            code.user.0,
            code.purpose,
            code.new_value
        )
        .execute(&mut *tx)
        .await?;
        let mut ended = Vec::new();
        // What was sent to the address of before must not open the account any more.
        if code.purpose == "email" {
            close_codes(&mut tx, code.user, "password").await?;
            close_codes(&mut tx, code.user, "login").await?;
            close_codes(&mut tx, code.user, "verify").await?;
            ended = end_others(&mut tx, code.user, kept).await?;
        }
        tx.commit().await?;
        Ok(Some(ended))
    }

    /// Uses a code up and notes that the e-mail address it went to is verified. False when somebody was faster with the code,
    /// or the address is another one by now.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn verify_email(&self, code: &CodeRecord) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        // The person before the code, as whoever changes the address locks them.
        if !note_verified(&mut tx, code).await? || !use_up(&mut tx, code.id).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Uses a code up, sets a password and ends all sessions; the e-mail address that the code went to is verified by it,
    /// and told. The version that later sessions have, or `None` when somebody was faster with the code.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn reset_password(
        &self,
        code: &CodeRecord,
        password_hash: &str,
    ) -> Result<Option<u32>, StoreError> {
        let mut tx = self.begin().await?;
        if !use_up(&mut tx, code.id).await? {
            return Ok(None);
        }
        tell_of_change(&mut tx, code.user, "password", None).await?;
        sqlx::query!(
            "update users set password_hash = $2 where id = $1 and erased_at is null",
            code.user.0,
            password_hash
        )
        .execute(&mut *tx)
        .await?;
        if note_verified(&mut tx, code).await? {
            close_codes(&mut tx, code.user, "verify").await?;
        }
        let version = end_all(&mut tx, code.user).await?;
        tx.commit().await?;
        Ok(Some(version))
    }
}

/// Writes a code and the message that brings it, within a transaction.
pub(in crate::store) async fn write_code(
    connection: &mut PgConnection,
    code: &NewCode,
    limits: &CodeLimits,
) -> Result<IssuedCode, StoreError> {
    // The person's row is locked, so that two at once do not both count too few.
    let email = sqlx::query_scalar!(
        "select email from users where id = $1 and erased_at is null for no key update",
        code.user.0
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(email) = email else { return Ok(IssuedCode::Nobody) };
    let target = code.target.as_deref().unwrap_or(&email);
    if let Some(expires_at) = sent_just_now(connection, code, target).await? {
        return Ok(IssuedCode::Sent { expires_at });
    }
    let target_hash = limits.targets.hash(code.channel, target);
    if let Some((limit, seconds)) = too_many(connection, code, &target_hash, limits.sms_a_day).await? {
        return Ok(IssuedCode::TooMany { limit, seconds });
    }
    close_codes(connection, code.user, code.purpose).await?;
    let expires_at = sqlx::query_scalar!(
        "insert into codes (id, user_id, purpose, channel, target, new_value, digits_hash)
         values ($1, $2, $3, $4, $5, $6, $7) returning expires_at",
        code.id,
        code.user.0,
        code.purpose,
        code.channel,
        target,
        code.new_value,
        code.digits_hash
    )
    .fetch_one(&mut *connection)
    .await?;
    note_sent(connection, code, &target_hash).await?;
    let (to, message) = (Recipient::CodeTarget { code: code.id }, Message::Code { code: code.id });
    send(connection, &Outgoing { to, message }).await?;
    Ok(IssuedCode::Sent { expires_at })
}

/// Notes that somebody reads what goes to their e-mail address; false when the code went to another one.
async fn note_verified(connection: &mut PgConnection, code: &CodeRecord) -> Result<bool, StoreError> {
    let noted = sqlx::query!(
        "update users u set email_verified_at = coalesce(u.email_verified_at, clock_timestamp())
         from codes c where u.id = $1 and u.erased_at is null and c.id = $2 and c.target = u.email",
        code.user.0,
        code.id
    )
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() > 0)
}

/// Until when a code is good that somebody without a log-in asked for within the last minute. It stays so, as a stranger
/// could otherwise close each one before its owner types it.
async fn sent_just_now(
    connection: &mut PgConnection,
    code: &NewCode,
    target: &str,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    if code.purpose != UNASKED {
        return Ok(None);
    }
    let expires_at = sqlx::query_scalar!(
        "select expires_at from codes
         where user_id = $1 and purpose = $2 and target = $3 and closed_at is null and tries < $4 and expires_at > clock_timestamp()
             and created_at > statement_timestamp() - interval '1 minute'
         order by created_at desc limit 1",
        code.user.0,
        code.purpose,
        target,
        TRIES
    );
    Ok(expires_at.fetch_optional(connection).await?)
}

async fn close_codes(connection: &mut PgConnection, user: UserId, purpose: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update codes set closed_at = clock_timestamp() where user_id = $1 and purpose = $2 and closed_at is null",
        user.0,
        purpose
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn use_up(connection: &mut PgConnection, id: Uuid) -> Result<bool, StoreError> {
    let closed = sqlx::query!(
        "update codes set closed_at = clock_timestamp() where id = $1 and closed_at is null",
        id
    )
    .execute(connection)
    .await?;
    Ok(closed.rows_affected() > 0)
}
