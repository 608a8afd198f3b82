//! The e-mail address as it is, verified by a code that goes to it. One that was changed by a code, or by whose code a
//! password was set, is verified by that.

use super::{AccountError, Accounts, SentCode};
use crate::domain::UserId;
use crate::store::ProfileRecord;

const PURPOSE: &str = "verify";

impl Accounts {
    /// Sends another code to somebody's e-mail address; that of before is good no more.
    ///
    /// # Errors
    /// The address is verified, or too many codes were sent.
    pub async fn request_verification(&self, user: UserId) -> Result<SentCode, AccountError> {
        if self.profile(user).await?.is_email_verified {
            return Err(AccountError::EmailVerified);
        }
        self.send_code(&self.new_code(user, PURPOSE, "email")).await
    }

    /// Verifies somebody's e-mail address by the code that went to it. One that is verified stays so, whatever the digits.
    ///
    /// # Errors
    /// The digits are wrong, or the code is good no more.
    pub async fn confirm_verification(
        &self,
        user: UserId,
        digits: &str,
    ) -> Result<ProfileRecord, AccountError> {
        let profile = self.profile(user).await?;
        if profile.is_email_verified {
            return Ok(profile);
        }
        let id = self.store.open_code(user, PURPOSE).await?.ok_or(AccountError::CodeExpired)?;
        let code = self.store.try_code(user, id).await?.ok_or(AccountError::CodeExpired)?;
        if !self.codes.is_right(id, digits, &code.digits_hash) {
            return Err(AccountError::BadCode { tries_left: code.tries_left });
        }
        if !self.store.verify_email(&code).await? {
            return Err(AccountError::CodeExpired);
        }
        tracing::info!(user.id = user.0, "e-mail address verified by a code");
        self.profile(user).await
    }
}
