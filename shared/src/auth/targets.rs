//! Where codes went, known again and not kept.

use hmac::{Hmac, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;

use super::keyed::derive;

/// Knows again where codes went. What it makes of an address or a number is good for nothing but comparing: numbers are few
/// enough to try them all, so only whoever has the secret could find one out.
#[derive(Clone)]
pub struct TargetKeys(Hmac<Sha256>);

impl std::fmt::Debug for TargetKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TargetKeys([redacted])")
    }
}

impl TargetKeys {
    /// A key from the newest of the secrets, which come newest first. Under another one nothing is known again, so that what
    /// is counted for a day begins anew; that is no harm, as secrets rotate seldom.
    pub fn new(secrets: &[SecretString]) -> Self {
        let newest = secrets.first().cloned().unwrap_or_default();
        Self(derive(&newest, "usher code target 1"))
    }

    /// What is stored of an e-mail address, or of a phone number however it was written; `channel` is `email` or `sms`.
    pub fn hash(&self, channel: &str, target: &str) -> Vec<u8> {
        self.0.clone().chain_update(counted(channel, target)).finalize().into_bytes().to_vec()
    }
}

/// The form in which a target is counted: of a number the digits without zeros before them, as `+380…`, `380…` and `00380…`
/// reach the same telephone. Numbers that differ in no more than such zeros count as one.
fn counted<'a>(channel: &str, target: &'a str) -> &'a str {
    if channel == "sms" { target.trim_start_matches(['+', '0']) } else { target }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> TargetKeys {
        TargetKeys::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>())
    }

    #[test]
    fn a_number_is_known_again_however_it_is_written_and_an_address_as_it_is() {
        let keys = keys(&["a secret"]);
        let number = keys.hash("sms", "+380501234567");
        for same in ["380501234567", "00380501234567", "0380501234567", "+00380501234567"] {
            assert_eq!(keys.hash("sms", same), number, "{same}");
        }
        assert_ne!(keys.hash("sms", "+380501234568"), number);
        let address = keys.hash("email", "0nova@example.test");
        assert_eq!(keys.hash("email", "0nova@example.test"), address);
        assert_ne!(keys.hash("email", "nova@example.test"), address);
    }

    #[test]
    fn nobody_finds_a_number_without_the_secret() {
        use sha2::Digest as _;
        let number = "+380501234567";
        let hash = keys(&["a secret"]).hash("sms", number);
        assert_ne!(hash, keys(&["another secret"]).hash("sms", number));
        assert_ne!(hash, keys(&["another secret", "a secret"]).hash("sms", number), "the newest counts");
        for plain in [number, counted("sms", number)] {
            assert_ne!(hash, Sha256::digest(plain).to_vec());
        }
        assert_eq!(format!("{:?}", keys(&["a secret"])), "TargetKeys([redacted])");
    }
}
