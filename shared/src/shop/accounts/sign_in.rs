//! Registering and logging in.

use secrecy::SecretString;
use uuid::Uuid;

use super::{AccountError, Accounts, Session, fields};
use crate::domain::UserId;
use crate::store::NewUser;

/// The text that people agree to; its version is kept with their consent.
const CONSENT_VERSION: &str = "2026-11";

/// Somebody who registers, as they wrote it.
#[derive(Debug)]
pub struct NewPerson {
    /// E-mail address.
    pub email: String,
    /// The password.
    pub password: SecretString,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Login name.
    pub login: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// The language of messages; English if none.
    pub language: Option<String>,
    /// They agree to the processing of their data.
    pub has_consented: bool,
}

/// Somebody who logs in.
#[derive(Debug)]
pub struct LogIn {
    /// E-mail address or login name.
    pub login: String,
    /// The password.
    pub password: SecretString,
    /// The authenticator's digits, or a recovery code.
    pub code: Option<String>,
}

impl Accounts {
    /// Registers a shopper, and sends a code to their e-mail address; their id and that address.
    ///
    /// # Errors
    /// A field is not acceptable, or somebody has it.
    pub async fn register(&self, person: NewPerson) -> Result<(UserId, String), AccountError> {
        let mut user = read(&person)?;
        user.password_hash = self.passwords.hash(person.password).await?;
        (user.code, user.code_hash) = self.new_digits();
        let id = self.store.insert_user(&user, &self.code_limits).await?;
        Ok((id, user.email))
    }

    /// Opens a session.
    ///
    /// # Errors
    /// Wrong name or password; a second factor is missing or wrong.
    pub async fn log_in(&self, who: LogIn) -> Result<Session, AccountError> {
        let user = self.store.credentials(&who.login.trim().to_lowercase()).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(who.password, hash).await?;
        let user = user.filter(|_| is_right).ok_or(AccountError::BadCredentials)?;
        if user.has_second_factor {
            self.check_second_factor(user.id, who.code.as_deref()).await?;
        }
        self.open_session(&user, user.has_second_factor).await
    }
}

fn read(person: &NewPerson) -> Result<NewUser, AccountError> {
    if !person.has_consented {
        let detail = "consent to the processing of personal data is needed";
        return Err(fields::FieldError(detail.to_owned()).into());
    }
    fields::password(&person.password)?;
    let given = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
    Ok(NewUser {
        email: fields::email(&person.email)?,
        login: given(&person.login).map(|login| fields::login(&login)).transpose()?,
        phone: given(&person.phone).map(|phone| fields::phone(&phone)).transpose()?,
        first_name: fields::text(&person.first_name, "firstName")?,
        last_name: fields::text(&person.last_name, "lastName")?,
        language: fields::language(person.language.as_deref().unwrap_or("en"))?,
        password_hash: String::new(),
        consent_version: CONSENT_VERSION.to_owned(),
        code: Uuid::nil(),
        code_hash: Vec::new(),
    })
}
