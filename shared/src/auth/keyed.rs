//! Keys that follow from the secrets, one for each purpose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// HMAC-SHA-256 with a key that follows from a secret and what it is for.
pub(super) fn derive(secret: &SecretString, purpose: &str) -> Hmac<Sha256> {
    let root = with_key(secret.expose_secret().as_bytes());
    with_key(&root.chain_update(purpose).finalize().into_bytes())
}

/// The 32 bytes of a key.
pub(super) fn derive_bytes(secret: &SecretString, purpose: &str) -> [u8; 32] {
    let root = with_key(secret.expose_secret().as_bytes());
    root.chain_update(purpose).finalize().into_bytes().into()
}

fn with_key(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length (RFC 2104 §3), so the fallback is never used.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()))
}

/// Knows secrets again without keeping them: what it makes of one is good for nothing but comparing, and its key was drawn
/// by this process and dies with it.
#[derive(Clone)]
pub struct Fingerprints(Hmac<Sha256>);

impl Default for Fingerprints {
    fn default() -> Self {
        Self(with_key(&rand::random::<[u8; 32]>()))
    }
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints([redacted])")
    }
}

impl Fingerprints {
    /// 128 bits that stand for these parts, in this order.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = self.0.clone();
        for part in parts {
            // With its length before it, so that no part runs into the next.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        half
    }
}
