//! Access tokens.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
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
    /// For whom it is: one for anybody else is not ours.
    aud: Audience,
}

/// For whom our access tokens are: Usher alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Audience {
    Usher,
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
    verifying: Arc<[Hmac<Sha256>]>,
    /// The one head that our tokens have, as it is sent: whatever names another algorithm is not ours.
    head: Arc<str>,
    seconds: u64,
    /// Tokens of those who ask again and again, by their signatures: whoever shows one with the same signature and the same
    /// message shows the one that was verified.
    known: Arc<RwLock<HashMap<Signature, Known>>>,
}

/// HMAC-SHA-256.
type Signature = [u8; 32];

/// A token that was verified.
struct Known {
    message: Box<str>,
    claims: AccessClaims,
}

/// A token taken apart: what was signed, its claims within, and the signature.
struct Parts<'a> {
    message: &'a str,
    head: &'a str,
    claims: &'a str,
    signature: Signature,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, TokenError> {
        let (message, text) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        let (head, claims) = message.split_once('.').ok_or(TokenError::Invalid)?;
        let mut signature = Signature::default();
        match URL_SAFE_NO_PAD.decode_slice(text, &mut signature) {
            Ok(length) if length == signature.len() => Ok(Self { message, head, claims, signature }),
            _ => Err(TokenError::Invalid),
        }
    }
}

/// Tokens known at most.
const KNOWN: usize = 100_000;

impl AccessTokens {
    /// Keys from the secrets, newest first: the first signs, all verify.
    pub fn new(secrets: &[SecretString], seconds: u64) -> Self {
        let bytes = |secret: &SecretString| secret.expose_secret().as_bytes().to_vec();
        let head = serde_json::to_vec(&head()).unwrap_or_default();
        Self {
            signing: Arc::new(EncodingKey::from_secret(&secrets.first().map(bytes).unwrap_or_default())),
            verifying: secrets
                .iter()
                .filter_map(|secret| Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok())
                .collect(),
            head: URL_SAFE_NO_PAD.encode(head).into(),
            seconds,
            known: Arc::default(),
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
            aud: Audience::Usher,
        };
        jsonwebtoken::encode(&head(), &claims, &self.signing).map_err(|_| TokenError::Invalid)
    }

    /// What a token says to somebody who will ask again: it is known then, and not verified again.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn recognize(&self, token: &str) -> Result<AccessClaims, TokenError> {
        let parts = Parts::of(token)?;
        let known = self.known.read();
        let same = known.get(&parts.signature).filter(|known| &*known.message == parts.message);
        if let Some(Known { claims, .. }) = same {
            return in_time(*claims);
        }
        drop(known);
        let claims = self.verify_parts(&parts)?;
        let mut known = self.known.write();
        let old = (known.len() >= KNOWN).then(|| std::mem::take(&mut *known));
        known.insert(parts.signature, Known { message: parts.message.into(), claims });
        drop(known);
        if let Some(old) = old {
            // Freeing so many takes milliseconds that no request should wait for.
            std::thread::spawn(move || drop(old));
        }
        Ok(claims)
    }

    /// What a token says. Most of a rush come once, with one that was not seen here before, so it is read once and no more:
    /// a JWT library finds out for each what only one of ours can say.
    ///
    /// # Errors
    /// It is not ours, or its time is over.
    pub fn verify(&self, token: &str) -> Result<AccessClaims, TokenError> {
        self.verify_parts(&Parts::of(token)?)
    }

    fn verify_parts(&self, token: &Parts<'_>) -> Result<AccessClaims, TokenError> {
        let is_signed_by = |key: &Hmac<Sha256>| {
            key.clone().chain_update(token.message).verify_slice(&token.signature).is_ok()
        };
        if token.head != &*self.head || !self.verifying.iter().any(is_signed_by) {
            return Err(TokenError::Invalid);
        }
        let json = URL_SAFE_NO_PAD.decode(token.claims).map_err(|_| TokenError::Invalid)?;
        in_time(serde_json::from_slice(&json).map_err(|_| TokenError::Invalid)?)
    }
}

fn head() -> Header {
    Header::new(Algorithm::HS256)
}

/// What a token says, unless its time is over.
fn in_time(claims: AccessClaims) -> Result<AccessClaims, TokenError> {
    let is_over = !u64::try_from(Utc::now().timestamp()).is_ok_and(|now| now < claims.exp);
    if is_over { Err(TokenError::Expired) } else { Ok(claims) }
}

/// 32 random bytes in hex: a secret, or a token that nobody guesses.
pub fn random_hex() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of thirty-two characters";

    fn tokens(secrets: &[&str], seconds: u64) -> AccessTokens {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        AccessTokens::new(&secrets, seconds)
    }

    /// A token as anybody could make it who has the secret.
    fn made(header: &Header, claims: &serde_json::Value, secret: &str) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(header, claims, &key).expect("a token")
    }

    fn refused(token: &str) -> TokenError {
        let tokens = tokens(&[SECRET], 60);
        let error = tokens.verify(token).expect_err("no token of ours");
        assert_eq!(tokens.recognize(token), Err(error));
        error
    }

    #[test]
    fn tokens_are_read_as_they_were_signed_with_the_key_of_now_or_the_one_before() {
        let token = tokens(&["the one before"], 60).sign(UserId(7), Role::Operator).expect("a token");
        let both = tokens(&[SECRET, "the one before"], 60);
        for claims in [both.verify(&token), both.recognize(&token), both.recognize(&token)] {
            assert_eq!(claims.map(|claims| (claims.sub, claims.role)), Ok((UserId(7), Role::Operator)));
        }
        assert_eq!(refused(&token), TokenError::Invalid, "that key is not ours any more");
    }

    #[test]
    fn a_token_is_good_until_its_time_and_not_a_second_longer() {
        let token = tokens(&[SECRET], 0).sign(UserId(7), Role::Shopper).expect("a token");
        assert_eq!(refused(&token), TokenError::Expired);
    }

    #[test]
    fn whatever_is_changed_makes_a_token_worthless() {
        let good = serde_json::json!({ "sub": 7, "role": "admin", "exp": 9_999_999_999_u64, "aud": "usher" });
        let ours = made(&head(), &good, SECRET);
        let knowing = tokens(&[SECRET], 60);
        for claims in [knowing.verify(&ours), knowing.recognize(&ours), knowing.recognize(&ours)] {
            assert_eq!(claims.map(|claims| claims.sub), Ok(UserId(7)));
        }
        let mut other = good.clone();
        other["aud"] = "another".into();
        let mut nobody = good.clone();
        nobody.as_object_mut().expect("claims").remove("aud");
        let [head_part, claims, signature] = ours.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
        let another = URL_SAFE_NO_PAD.encode(r#"{"sub":8,"role":"admin","exp":9999999999,"aud":"usher"}"#);
        for token in [
            made(&head(), &other, SECRET),
            made(&head(), &nobody, SECRET),
            made(&head(), &good, "somebody else's"),
            made(&Header::new(Algorithm::HS512), &good, SECRET),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{signature}"),
            format!("{head_part}.{another}.{signature}"),
            format!("{head_part}.{claims}."),
            format!("{head_part}.{claims}.{}", &signature[..40]),
            format!("{head_part}.{claims}"),
            format!("{ours}.{signature}"),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(refused(&token), TokenError::Invalid, "{token}");
            assert_eq!(knowing.recognize(&token), Err(TokenError::Invalid), "{token}");
        }
    }
}
