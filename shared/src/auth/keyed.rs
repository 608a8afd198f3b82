//! Keys that follow from the secrets, one for each purpose.

use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::domain::keyed;

/// HMAC-SHA-256 with a key that follows from a secret and what it is for.
pub(super) fn derive(secret: &SecretString, purpose: &str) -> Hmac<Sha256> {
    let root = keyed(secret.expose_secret().as_bytes());
    keyed(&root.chain_update(purpose).finalize().into_bytes())
}

/// The 32 bytes of a key.
pub(super) fn derive_bytes(secret: &SecretString, purpose: &str) -> [u8; 32] {
    let root = keyed(secret.expose_secret().as_bytes());
    root.chain_update(purpose).finalize().into_bytes().into()
}

/// Knows secrets again without keeping them: what it makes of one is good for nothing but comparing, and its key was drawn
/// by this process and dies with it.
#[derive(Clone)]
pub struct Fingerprints(Hmac<Sha256>);

impl Default for Fingerprints {
    fn default() -> Self {
        Self(keyed(&rand::random::<[u8; 32]>()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_credentials_are_known_again_by_one_process_and_tell_another_one_nothing() {
        let (here, there) = (Fingerprints::default(), Fingerprints::default());
        let parts: [&[u8]; 3] = [b"basic", b"nova", b"long enough"];
        assert_eq!(here.of(&parts), here.of(&parts));
        assert_eq!(here.of(&parts), here.clone().of(&parts));
        assert_ne!(here.of(&parts), there.of(&parts), "each process draws a key of its own");
        assert_eq!(format!("{here:?}"), "Fingerprints([redacted])");
    }

    #[test]
    fn no_other_credentials_have_the_same_fingerprint() {
        let fingerprints = Fingerprints::default();
        let of = |parts: [&str; 3]| fingerprints.of(&parts.map(str::as_bytes));
        let right = of(["basic", "nova", "long enough"]);
        for other in [
            ["basic", "nova", "long enougi"],
            ["basic", "nov", "along enough"],
            ["basic", "noval", "ong enough"],
            ["basicn", "ova", "long enough"],
            ["key", "nova", "long enough"],
            ["basic", "nova", ""],
        ] {
            assert_ne!(of(other), right, "{other:?}");
        }
    }
}
