//! Access tokens and refresh tokens.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use chrono::Utc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Role;
use crate::domain::UserId;

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who.
    pub sub: UserId,
    /// What they may do.
    pub role: Role,
    /// Until when, in seconds since 1970.
    pub exp: u64,
    /// The version of their sessions; tokens of an older one are refused.
    #[serde(default)]
    pub ver: u32,
    /// The family of refresh tokens that it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// They have shown a second factor.
    #[serde(default)]
    pub mfa: bool,
}

/// Whom a token is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewToken {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The version of their sessions.
    pub version: u32,
    /// The family of refresh tokens.
    pub session: Option<Uuid>,
    /// They have shown a second factor.
    pub has_second_factor: bool,
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

    /// A token that belongs to no log-in: for load tests and tools that hold the secret.
    ///
    /// # Errors
    /// As [`Self::sign_session`].
    pub fn sign(&self, user: UserId, role: Role) -> Result<String, TokenError> {
        self.sign_session(&NewToken { user, role, version: 0, session: None, has_second_factor: false })
    }

    /// A new token.
    ///
    /// # Errors
    /// The claims cannot be signed, which does not happen with HS256.
    pub fn sign_session(&self, new: &NewToken) -> Result<String, TokenError> {
        let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
        let claims = AccessClaims {
            sub: new.user,
            role: new.role,
            exp: now + self.seconds,
            ver: new.version,
            sid: new.session,
            mfa: new.has_second_factor,
        };
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
