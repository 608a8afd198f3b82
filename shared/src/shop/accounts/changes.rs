//! E-mail address, phone number and login name: changed by a code that is sent to the new value, or for a login name to the
//! e-mail address.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use uuid::Uuid;

use super::{AccountError, Accounts, fields};
use crate::domain::UserId;
use crate::store::{CodeLimit, IssuedCode, NewCode, ProfileRecord};

/// A field and what becomes of it, as it was written.
#[derive(Debug, Clone)]
pub enum Change {
    /// The e-mail address.
    Email(String),
    /// The phone number.
    Phone(String),
    /// The login name.
    Login(String),
}

/// A code that is on its way.
#[derive(Debug, Clone, Copy)]
pub struct SentCode {
    /// Names it; the digits are with the person.
    pub id: Uuid,
    /// `email` or `sms`.
    pub channel: &'static str,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

impl Accounts {
    /// Sends the code that a change takes. Whoever found a session open does not know the password, and so cannot take the
    /// account over by an address of their own.
    ///
    /// # Errors
    /// The value is not acceptable or somebody has it, the password is missing or wrong, the e-mail address is not verified
    /// where that is needed, or too many codes were sent.
    pub async fn request_change(
        &self,
        user: UserId,
        change: Change,
        password: Option<SecretString>,
    ) -> Result<SentCode, AccountError> {
        let (field, told, channel, value) = match change {
            Change::Email(value) => ("email", "e-mail address", "email", fields::email(&value)?),
            Change::Phone(value) => ("phone", "phone number", "sms", fields::phone(&value)?),
            Change::Login(value) => ("login", "login", "email", fields::login(&value)?),
        };
        self.check_own_password(user, password).await?;
        // A login's code goes to that address. An SMS costs money, and all share how many go out in a day: without a mailbox for
        // each account one machine would use them up with accounts that cost nothing.
        if field != "email" && !self.profile(user).await?.is_email_verified {
            return Err(AccountError::EmailNotVerified);
        }
        // The constraint decides when it is confirmed; this spares a code that could not change anything.
        if self.store.is_taken(field, &value).await? {
            return Err(AccountError::Taken(told));
        }
        let target = if field == "login" { None } else { Some(value.clone()) };
        let code = self.new_code(user, field, channel);
        let code = NewCode { target, new_value: Some(value), ..code };
        self.send_code(&code).await
    }

    /// Makes a change whose code has arrived. Another e-mail address ends all log-ins but the one it is made by.
    ///
    /// # Errors
    /// The digits are wrong, the code is good no more or not theirs, or somebody has the value by now.
    pub async fn confirm_change(
        &self,
        (user, session): (UserId, Option<Uuid>),
        id: Uuid,
        digits: &str,
    ) -> Result<ProfileRecord, AccountError> {
        let Some(code) = self.store.try_code(user, id).await? else {
            let is_theirs = self.store.has_code(user, id).await?;
            return Err(if is_theirs { AccountError::CodeExpired } else { AccountError::NotFound });
        };
        // Codes that reset the password or verify the e-mail address have paths of their own.
        let Some(new_value) = &code.new_value else { return Err(AccountError::NotFound) };
        if !self.codes.is_right(id, digits, &code.digits_hash) {
            return Err(AccountError::BadCode { tries_left: code.tries_left });
        }
        let hint = fields::hint(new_value);
        let ended = self.store.apply_code(&code, &hint, session).await?.ok_or(AccountError::CodeExpired)?;
        for session in ended {
            self.ended.end_session(session);
        }
        tracing::info!(user.id = user.0, field = code.purpose, "{} was changed by a code", code.purpose);
        self.profile(user).await
    }

    pub(super) async fn send_code(&self, code: &NewCode) -> Result<SentCode, AccountError> {
        match self.store.issue_code(code, &self.code_limits).await? {
            IssuedCode::Sent { expires_at } => {
                Ok(SentCode { id: code.id, channel: code.channel, expires_at })
            }
            IssuedCode::TooMany { limit, seconds } => Err(match limit {
                CodeLimit::Hour => AccountError::TooManyCodes { seconds },
                CodeLimit::Day => AccountError::TooManyCodesToday { seconds },
                CodeLimit::AllSms => AccountError::NoMoreSms { seconds },
            }),
            IssuedCode::Nobody => Err(AccountError::SessionEnded),
        }
    }

    pub(super) fn new_code(&self, user: UserId, purpose: &'static str, channel: &'static str) -> NewCode {
        let (id, digits_hash) = self.new_digits();
        NewCode { id, user, purpose, channel, target: None, new_value: None, digits_hash }
    }

    /// The id of a new code, and a keyed hash of its digits.
    pub(super) fn new_digits(&self) -> (Uuid, Vec<u8>) {
        let id = Uuid::now_v7();
        (id, self.codes.hash(id, &self.codes.digits(id)))
    }
}
