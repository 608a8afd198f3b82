//! One-time passwords of authenticator apps (RFC 6238: SHA-1, six digits, 30 seconds), and the sealing of the secret that
//! the app and Usher share.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use secrecy::SecretString;
use totp_rs::{Algorithm, Builder, Secret, Totp};

use super::keyed::derive_bytes;
use crate::domain::UserId;

/// Bytes of a secret, as RFC 4226 recommends.
const SECRET: usize = 20;
/// Bytes of a nonce of AES-GCM.
const NONCE: usize = 12;
/// Who is named in the authenticator's list.
const ISSUER: &str = "Usher";

/// A sealed secret could not be opened, or not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a second factor's secret cannot be opened; JWT_SECRET has changed more than once")]
pub struct SealError;

/// Seals and opens secrets.
#[derive(Clone)]
pub struct SecondFactorKeys(Vec<Aes256Gcm>);

impl SecondFactorKeys {
    /// Keys from the secrets, newest first: the first seals, all open.
    pub fn new(secrets: &[SecretString]) -> Self {
        let key = |secret| Aes256Gcm::new(&derive_bytes(secret, "usher second factor 1").into());
        Self(secrets.iter().map(key).collect())
    }

    /// Seals a secret for its owner; nobody else's row can be exchanged for it.
    ///
    /// # Errors
    /// There is no key.
    pub fn seal(&self, user: UserId, secret: &SharedSecret) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE] = rand::random();
        let cipher = self.0.first().ok_or(SealError)?;
        let payload = Payload { msg: &secret.0, aad: &user.0.to_le_bytes() };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for somebody.
    ///
    /// # Errors
    /// It was sealed for somebody else, or with a key that is gone.
    pub fn open(&self, user: UserId, sealed: &[u8]) -> Result<SharedSecret, SealError> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(SealError)?;
        let owner = user.0.to_le_bytes();
        let open =
            |key: &Aes256Gcm| key.decrypt(&Nonce::from(*nonce), Payload { msg: text, aad: &owner }).ok();
        self.0.iter().find_map(open).map(SharedSecret).ok_or(SealError)
    }
}

/// What an authenticator app and Usher both know.
pub struct SharedSecret(Vec<u8>);

impl SharedSecret {
    /// A new one.
    pub fn draw() -> Self {
        Self(rand::random::<[u8; SECRET]>().to_vec())
    }

    /// A secret as it was shown.
    pub fn from_base32(text: &str) -> Option<Self> {
        Some(Self(Secret::try_from_base32(text).ok()?.as_ref().to_vec()))
    }

    /// As it is typed into an app.
    pub fn base32(&self) -> String {
        Secret::from(self.0.clone()).to_base32()
    }

    /// As a link that apps read from a QR code.
    ///
    /// # Errors
    /// The name cannot be written into a link.
    pub fn link(&self, name: &str) -> Result<String, SealError> {
        self.totp(name)?.to_url().map_err(|_| SealError)
    }

    /// The step whose password this is, at a time in seconds since 1970; the step before and the one after count too.
    ///
    /// # Errors
    /// The secret is none.
    pub fn step_of(&self, digits: &str, at: u64) -> Result<Option<u64>, SealError> {
        Ok(self.totp("usher")?.check(digits.trim(), at))
    }

    /// The password at a time in seconds since 1970.
    ///
    /// # Errors
    /// The secret is none.
    pub fn digits(&self, at: u64) -> Result<String, SealError> {
        Ok(self.totp("usher")?.generate(at).to_string())
    }

    fn totp(&self, name: &str) -> Result<Totp, SealError> {
        let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_secret(self.0.clone());
        let named = builder.with_account_name(name.replace(':', " ")).with_issuer(Some(ISSUER));
        named.build().map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_for_one_opens_for_nobody_else() {
        let keys = SecondFactorKeys::new(&["new".to_owned().into(), "old".to_owned().into()]);
        let secret = SharedSecret::draw();
        let sealed = keys.seal(UserId(1), &secret).expect("sealed");
        assert_eq!(keys.open(UserId(1), &sealed).expect("opened").base32(), secret.base32());
        assert!(keys.open(UserId(2), &sealed).is_err());
        assert!(keys.open(UserId(1), &sealed[1..]).is_err());
        let old = SecondFactorKeys::new(&["old".to_owned().into()]).seal(UserId(1), &secret).expect("sealed");
        assert!(keys.open(UserId(1), &old).is_ok(), "the secret before this one still opens");
        let foreign = SecondFactorKeys::new(&["another".to_owned().into()]);
        assert!(foreign.open(UserId(1), &sealed).is_err());
    }

    #[test]
    fn a_password_belongs_to_its_step() {
        // RFC 6238, appendix B, with the last six digits.
        let secret = SharedSecret(b"12345678901234567890".to_vec());
        for (at, digits) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(secret.digits(at).expect("digits"), digits);
            assert_eq!(secret.step_of(digits, at), Ok(Some(at / 30)));
            assert_eq!(secret.step_of(digits, at + 30), Ok(Some(at / 30)), "the step before counts too");
            assert_eq!(secret.step_of(digits, at + 90), Ok(None));
        }
        assert_eq!(SharedSecret::from_base32(&secret.base32()).expect("read").base32(), secret.base32());
        assert!(secret.link("a:b@usher.test").expect("link").starts_with("otpauth://totp/"));
    }
}
