//! Who a request comes from. What was verified a moment ago is answered from memory.

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{AccountError, Accounts};
use crate::auth::{AccessClaims, Role, Scopes, TokenError, refresh_token_hash};
use crate::domain::UserId;

/// How API keys begin, so that they are told apart from access tokens and are found when they leak.
pub const KEY_PREFIX: &str = "usher_key_";

/// Somebody, or something, that acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Who; with a key, the service.
    pub user: UserId,
    /// What they may do; with a key, what follows from its scopes.
    pub role: Role,
    /// The version of their sessions.
    pub version: u32,
    /// The log-in, or the key.
    pub session: Option<Uuid>,
    /// They have shown a second factor.
    pub has_second_factor: bool,
    /// What the key permits; `None` for people.
    pub scopes: Option<Scopes>,
}

/// A name with its password, as Basic brings it.
#[derive(Debug, Clone)]
pub struct BasicCredentials {
    /// E-mail address or login name.
    pub login: String,
    /// The password.
    pub password: SecretString,
}

impl Accounts {
    /// Who an access token is for. No store is asked.
    ///
    /// # Errors
    /// It is not ours, its time is over, or its session was ended.
    pub fn token_actor(&self, token: &str) -> Result<Actor, AccountError> {
        self.actor_of(&self.tokens.verify(token)?)
    }

    /// The same for somebody who only asks, as a crowd that waits does again and again.
    ///
    /// # Errors
    /// As [`Self::token_actor`].
    pub fn asking_actor(&self, token: &str) -> Result<Actor, AccountError> {
        self.actor_of(&self.tokens.recognize(token)?)
    }

    fn actor_of(&self, claims: &AccessClaims) -> Result<Actor, AccountError> {
        let actor = Actor {
            user: claims.sub,
            role: claims.role,
            version: claims.ver,
            session: claims.sid,
            has_second_factor: claims.mfa,
            scopes: None,
        };
        // The refresh token may still be good, as it is after a change of role.
        if self.has_ended(&actor) { Err(TokenError::Expired.into()) } else { Ok(actor) }
    }

    /// Whether the session of somebody was ended after they were identified.
    pub fn has_ended(&self, actor: &Actor) -> bool {
        self.ended.has_ended(actor.user, actor.version, actor.session)
    }

    /// Who these credentials were verified for some minutes ago; `None` when it must be done again.
    pub fn remembered(&self, credentials: &BasicCredentials) -> Option<Actor> {
        let known = self.basic.get(&self.basic_key(credentials))?;
        // A new password ends them, as it raises the version.
        (!self.has_ended(&known)).then_some(known)
    }

    /// Verifies credentials, and remembers them for some minutes as a keyed hash.
    ///
    /// # Errors
    /// Wrong name or password, or the account has a second factor.
    pub async fn verify(&self, credentials: &BasicCredentials) -> Result<Actor, AccountError> {
        let user = self.store.credentials(&credentials.login.trim().to_lowercase()).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(credentials.password.clone(), hash).await?;
        let user = user.filter(|_| is_right).ok_or(AccountError::BadCredentials)?;
        if user.has_second_factor {
            return Err(AccountError::BasicNotEnough);
        }
        let actor = Actor {
            user: user.id,
            role: user.role,
            version: user.version,
            session: None,
            has_second_factor: false,
            scopes: None,
        };
        self.basic.put(self.basic_key(credentials), actor);
        Ok(actor)
    }

    /// The service that a key was found to be of some moments ago; `None` when it must be looked up.
    pub fn remembered_key(&self, key: &str) -> Option<Actor> {
        let known = self.keys.get(&self.fingerprints.of(&[b"key", key.as_bytes()]))?;
        (!self.has_ended(&known)).then_some(known)
    }

    /// The service that acts by a key.
    ///
    /// # Errors
    /// The key is unknown, revoked or expired.
    pub async fn key_actor(&self, key: &str) -> Result<Actor, AccountError> {
        let owner = self.store.key_owner(&refresh_token_hash(key)).await?.ok_or(AccountError::BadKey)?;
        let actor = Actor {
            user: owner.service,
            role: owner.scopes.role(),
            version: 0,
            session: Some(owner.id),
            has_second_factor: false,
            scopes: Some(owner.scopes),
        };
        self.keys.put(self.fingerprints.of(&[b"key", key.as_bytes()]), actor);
        Ok(actor)
    }

    fn basic_key(&self, credentials: &BasicCredentials) -> [u8; 16] {
        let password = credentials.password.expose_secret().as_bytes();
        self.fingerprints.of(&[b"basic", credentials.login.as_bytes(), password])
    }
}
