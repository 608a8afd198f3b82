//! Passwords: changed by who knows the old one, or reset by a code.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::{AccountError, Accounts, Session, fields};
use crate::domain::UserId;
use crate::store::{CredentialRecord, IssuedCode};

/// How long asking for a reset takes, and confirming one: as long for an account that exists as for one that does not.
const SAME_TIME: Duration = Duration::from_millis(250);

impl Accounts {
    /// Replaces a password; the e-mail address is told. All sessions end; the answer is a new one.
    ///
    /// # Errors
    /// The current password is wrong, or the new one not acceptable.
    pub async fn change_password(
        &self,
        (user, has_second_factor): (UserId, bool),
        current: SecretString,
        new: SecretString,
    ) -> Result<Session, AccountError> {
        fields::password(&new)?;
        let was = self.check_password(user, current).await?;
        let hash = self.passwords.hash(new).await?;
        let version = self.store.replace_password(user, &was, &hash).await?;
        let version = version.ok_or(AccountError::BadCredentials)?;
        self.ended.end_user(user, version);
        tracing::info!(user.id = user.0, "password changed; sessions of before have ended");
        let user = self.store.credentials_of(user).await?.ok_or(AccountError::SessionEnded)?;
        self.open_session(&CredentialRecord { version, ..user }, has_second_factor).await
    }

    /// Whether this is somebody's password; its hash.
    pub(super) async fn check_password(
        &self,
        user: UserId,
        password: SecretString,
    ) -> Result<String, AccountError> {
        let known = self.store.credentials_of(user).await?.ok_or(AccountError::SessionEnded)?;
        let is_right = self.passwords.verify(password, known.password_hash.clone()).await?;
        known.password_hash.filter(|_| is_right).ok_or(AccountError::BadCredentials)
    }

    /// Whether this is the password of somebody who has one.
    pub(super) async fn check_own_password(
        &self,
        user: UserId,
        password: Option<SecretString>,
    ) -> Result<(), AccountError> {
        let known = self.store.credentials_of(user).await?.ok_or(AccountError::SessionEnded)?;
        if known.password_hash.is_none() {
            return Ok(());
        }
        let missing = || fields::FieldError("password must be that of now".to_owned());
        let password = password.ok_or_else(missing)?;
        let is_right = self.passwords.verify(password, known.password_hash).await?;
        if is_right { Ok(()) } else { Err(AccountError::BadCredentials) }
    }

    /// Sends a code to the e-mail address of an account, if there is one: who asks is not told.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn request_reset(&self, login: &str) -> Result<(), AccountError> {
        let until = Instant::now() + SAME_TIME;
        let sent = self.send_reset(login).await;
        tokio::time::sleep_until(until).await;
        sent
    }

    async fn send_reset(&self, login: &str) -> Result<(), AccountError> {
        let user = self.store.credentials(&login.trim().to_lowercase()).await?;
        // Who has no password has no way to log in that could be given back.
        let Some(user) = user.filter(|user| user.password_hash.is_some()) else { return Ok(()) };
        let code = self.new_code(user.id, "password", "email");
        if let IssuedCode::TooMany { .. } = self.store.issue_code(&code, &self.code_limits).await? {
            // Who asks is not told, and its owner may be waiting.
            tracing::warn!(user.id = user.id.0, "reset codes of an account are used up for the hour");
        }
        Ok(())
    }

    /// Sets a password by a code, which also verifies the e-mail address. It is told, and all sessions end.
    ///
    /// # Errors
    /// The digits are wrong or good no more, or the password is not acceptable.
    pub async fn confirm_reset(
        &self,
        login: &str,
        digits: &str,
        new: SecretString,
    ) -> Result<(), AccountError> {
        fields::password(&new)?;
        let until = Instant::now() + SAME_TIME;
        let reset = self.reset(login, digits, new).await;
        tokio::time::sleep_until(until).await;
        reset
    }

    async fn reset(&self, login: &str, digits: &str, new: SecretString) -> Result<(), AccountError> {
        // Hashed for whoever asks, as it takes the most time of all.
        let hash = self.passwords.hash(new).await?;
        let user = self.store.credentials(&login.trim().to_lowercase()).await?;
        let user = user.ok_or(AccountError::BadResetCode)?.id;
        let id = self.store.open_code(user, "password").await?.ok_or(AccountError::BadResetCode)?;
        let code = self.store.try_code(user, id).await?.ok_or(AccountError::BadResetCode)?;
        if !self.codes.is_right(id, digits, &code.digits_hash) {
            return Err(AccountError::BadResetCode);
        }
        let version = self.store.reset_password(&code, &hash).await?.ok_or(AccountError::BadResetCode)?;
        self.ended.end_user(user, version);
        tracing::info!(user.id = user.0, "password reset by a code; sessions of before have ended");
        Ok(())
    }
}
