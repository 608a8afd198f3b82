//! Keys by which services act, as admins look after them.

use uuid::Uuid;

use super::{AccountError, Accounts, By, KEY_PREFIX, fields};
use crate::auth::{Scope, Scopes, random_hex, refresh_token_hash};
use crate::domain::UserId;
use crate::store::{ApiKeyRecord, NewApiKey};

/// Days for which a key may be good at most, unless it is good for ever.
const LONGEST_DAYS: u32 = 3_650;

/// A key to make.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    /// What it is for.
    pub name: String,
    /// What it permits.
    pub scopes: Vec<Scope>,
    /// The service that acts by it; `None` for a new one.
    pub service: Option<UserId>,
    /// Days after which it expires.
    pub expires_in_days: Option<u32>,
}

/// A key that was made, told this once.
#[derive(Debug, Clone)]
pub struct MadeKey {
    /// What a service sends.
    pub key: String,
    /// What is kept of it.
    pub record: ApiKeyRecord,
}

impl Accounts {
    /// Makes a key.
    ///
    /// # Errors
    /// A field is not acceptable, or there is no such service.
    pub async fn make_key(&self, request: KeyRequest, by: By) -> Result<MadeKey, AccountError> {
        let refuse = |detail: &str| AccountError::Field(fields::FieldError(detail.to_owned()));
        if request.scopes.is_empty() {
            return Err(refuse("scopes must name at least one"));
        }
        if request.expires_in_days.is_some_and(|days| !(1..=LONGEST_DAYS).contains(&days)) {
            return Err(refuse("expiresInDays must be 1 to 3,650"));
        }
        let key = format!("{KEY_PREFIX}{}", random_hex());
        let new = NewApiKey {
            id: Uuid::now_v7(),
            service: request.service,
            name: fields::text(&request.name, "name")?,
            key_hash: refresh_token_hash(&key),
            scopes: Scopes::of(&request.scopes),
            created_by: by.user,
            expires_in_days: request.expires_in_days.and_then(|days| i32::try_from(days).ok()),
        };
        let record = self.store.insert_api_key(&new).await?.ok_or(AccountError::NotFound)?;
        self.audit(by, "api_key.create", &object(record.id), "done").await?;
        Ok(MadeKey { key, record })
    }

    /// The latest keys.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, AccountError> {
        Ok(self.store.api_keys().await?)
    }

    /// Revokes a key, at every gateway within a second; one that was revoked before stays so.
    ///
    /// # Errors
    /// There is none.
    pub async fn revoke_key(&self, id: Uuid, by: By) -> Result<(), AccountError> {
        self.store.revoke_api_key(id).await?.ok_or(AccountError::NotFound)?;
        self.ended.end_session(id);
        Ok(self.audit(by, "api_key.revoke", &object(id), "done").await?)
    }
}

pub(super) fn object(id: Uuid) -> String {
    format!("api key {id}")
}
