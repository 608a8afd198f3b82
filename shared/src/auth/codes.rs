//! Digits of codes: they follow from the code's id and a secret, so they stand nowhere.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::messages::CodeDigits;

/// Makes digits.
#[derive(Clone)]
pub struct CodeKeys {
    key: Hmac<Sha256>,
}

impl CodeKeys {
    /// Keys from the secrets, newest first.
    pub fn new(secrets: &[SecretString]) -> Self {
        let secret = secrets.first().map_or("", |secret| secret.expose_secret());
        let mut key = Hmac::new_from_slice(secret.as_bytes())
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        key.update(b"usher codes");
        Self { key }
    }

    /// The six digits of a code.
    pub fn digits(&self, id: Uuid) -> String {
        let mut mac = self.key.clone();
        mac.update(id.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let number = bytes.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{:06}", number % 1_000_000)
    }
}

impl CodeDigits for CodeKeys {
    fn digits(&self, id: Uuid) -> String {
        Self::digits(self, id)
    }
}
