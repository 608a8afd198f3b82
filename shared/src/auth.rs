//! Passwords and tokens.

pub mod codes;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::domain::UserId;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Buys.
    Shopper,
    /// Runs queues.
    Operator,
    /// Runs everything.
    Admin,
    /// Checks tickets at the door.
    Scanner,
}

impl Role {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shopper => "shopper",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Scanner => "scanner",
        }
    }

    /// Reads what [`Self::word`] wrote; anything else may do no more than a shopper.
    pub fn from_word(word: &str) -> Self {
        match word {
            "operator" => Self::Operator,
            "admin" => Self::Admin,
            "scanner" => Self::Scanner,
            _ => Self::Shopper,
        }
    }

    /// May pause, resume and look into queues.
    pub fn may_operate(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }

    /// May check tickets at the door.
    pub fn may_scan(self) -> bool {
        matches!(self, Self::Scanner | Self::Admin)
    }
}

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who.
    pub sub: UserId,
    /// What they may do.
    pub role: Role,
    /// Until when, in seconds since 1970.
    pub exp: u64,
}

/// What is signed: the claims, and for whom they are.
#[derive(Serialize)]
struct Signed {
    #[serde(flatten)]
    claims: AccessClaims,
    aud: &'static str,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not signed here.
    #[error("this is not an access token of ours")]
    Invalid,
    /// It was good once.
    #[error("this access token has expired")]
    Expired,
}

/// Signs and verifies access tokens (JWT, HS256: nobody but Usher reads them).
#[derive(Clone)]
pub struct AccessTokens {
    signing: Arc<EncodingKey>,
    verifying: Arc<[DecodingKey]>,
    validation: Arc<Validation>,
    seconds: u64,
    /// Tokens that were verified, so that a shopper who asks often is not verified each time. A token is known by 128
    /// bits of hashes whose keys this process drew, so nobody can make another one that is taken for it.
    verified: Arc<RwLock<HashMap<[u64; 2], AccessClaims>>>,
    hashers: [RandomState; 2],
}

/// Verified tokens remembered at most.
const REMEMBERED: usize = 100_000;

const AUDIENCE: &str = "usher";

impl AccessTokens {
    /// Keys from the secrets, newest first: the first signs, all verify.
    pub fn new(secrets: &[SecretString], seconds: u64) -> Self {
        let bytes = |secret: &SecretString| secret.expose_secret().as_bytes().to_vec();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.leeway = 0;
        Self {
            signing: Arc::new(EncodingKey::from_secret(&secrets.first().map(bytes).unwrap_or_default())),
            verifying: secrets.iter().map(|secret| DecodingKey::from_secret(&bytes(secret))).collect(),
            validation: Arc::new(validation),
            seconds,
            verified: Arc::default(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// How many seconds a new token is good for.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// A new token.
    ///
    /// # Errors
    /// The claims cannot be signed, which does not happen with HS256.
    pub fn sign(&self, user: UserId, role: Role) -> Result<String, TokenError> {
        let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
        let claims = AccessClaims { sub: user, role, exp: now + self.seconds };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &Signed { claims, aud: AUDIENCE }, &self.signing)
            .map_err(|_| TokenError::Invalid)
    }

    /// What a token says.
    ///
    /// # Errors
    /// It is not ours, or its time is over.
    pub fn verify(&self, token: &str) -> Result<AccessClaims, TokenError> {
        let known = self.hashers.each_ref().map(|hasher| hasher.hash_one(token));
        let verified = self.verified.read().get(&known).copied();
        if let Some(claims) = verified {
            let is_good = u64::try_from(Utc::now().timestamp()).is_ok_and(|now| now < claims.exp);
            return if is_good { Ok(claims) } else { Err(TokenError::Expired) };
        }
        let claims = self.verify_signature(token)?;
        let mut verified = self.verified.write();
        let old = (verified.len() >= REMEMBERED).then(|| std::mem::take(&mut *verified));
        verified.insert(known, claims);
        drop(verified);
        if let Some(old) = old {
            // Freeing so many takes milliseconds that no request should wait for.
            std::thread::spawn(move || drop(old));
        }
        Ok(claims)
    }

    fn verify_signature(&self, token: &str) -> Result<AccessClaims, TokenError> {
        let mut refused = TokenError::Invalid;
        for key in self.verifying.iter() {
            match jsonwebtoken::decode::<AccessClaims>(token, key, &self.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => {
                    if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) {
                        refused = TokenError::Expired;
                    }
                }
            }
        }
        Err(refused)
    }
}

/// Hashing failed, or too many are waiting for it.
#[derive(Debug, thiserror::Error)]
#[error("passwords cannot be hashed right now")]
pub struct PasswordError;

/// argon2id with its defaults (19 MiB, 2 passes), at most a few at a time: a flood of logins must not take the
/// processors from those who book.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Whoever comes when so many wait already is told to come back.
const MAX_WAITING: usize = 64;

/// Somebody who waits for a slot; counted until dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn enter(count: &Arc<AtomicUsize>) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(count.clone());
        (before < MAX_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(2)), waiting: Arc::default() }
    }
}

impl Passwords {
    /// The PHC string of a password.
    ///
    /// # Errors
    /// The blocking pool is gone.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        self.run(move || {
            Argon2::default()
                .hash_password(password.expose_secret().as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|_| PasswordError)
        })
        .await?
    }

    /// Whether the password is the hashed one. Without a hash the same work is done, so that the time taken
    /// does not tell whether an account exists.
    ///
    /// # Errors
    /// The blocking pool is gone.
    pub async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, PasswordError> {
        self.run(move || {
            let Some(hash) = hash else {
                let _ = Argon2::default().hash_password(password.expose_secret().as_bytes());
                return false;
            };
            PasswordHash::new(&hash).is_ok_and(|parsed| {
                Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok()
            })
        })
        .await
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, PasswordError> {
        let waiting = Waiting::enter(&self.waiting).ok_or(PasswordError)?;
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| PasswordError)?;
        drop(waiting);
        // The slot goes with the work: whoever hangs up does not make room for the next one.
        let work = move || {
            let _slot = slot;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError)
    }
}

/// 32 random bytes in hex: a secret, or a token that nobody guesses.
pub fn random_hex() -> String {
    use std::fmt::Write as _;
    rand::random::<[u8; 32]>().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A new refresh token, and the SHA-256 that is stored of it.
pub fn new_refresh_token() -> (String, Vec<u8>) {
    let token = random_hex();
    let hash = refresh_token_hash(&token);
    (token, hash)
}

/// What is stored of a refresh token.
pub fn refresh_token_hash(token: &str) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(token.as_bytes()).to_vec()
}
