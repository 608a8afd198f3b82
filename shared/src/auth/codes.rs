//! Codes of six digits that are sent to somebody. They follow from the code's id and a secret, so neither the database nor
//! a job holds them.

use hmac::{Hmac, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;
use uuid::Uuid;

use super::keyed::derive;
use crate::messages::CodeDigits;

/// How many digits a code has.
pub const CODE_DIGITS: usize = 6;

/// Makes and checks codes.
#[derive(Clone)]
pub struct CodeKeys(Vec<Keys>);

#[derive(Clone)]
struct Keys {
    digits: Hmac<Sha256>,
    hash: Hmac<Sha256>,
}

impl std::fmt::Debug for CodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeKeys([redacted])")
    }
}

impl CodeKeys {
    /// Keys from the secrets, newest first: the first makes codes, all check them. While secrets rotate, a code that was
    /// written under one and sent under the other is wrong; asking for another one mends it.
    pub fn new(secrets: &[SecretString]) -> Self {
        let keys = |secret| Keys {
            digits: derive(secret, "usher code digits 1"),
            hash: derive(secret, "usher code hash 1"),
        };
        Self(secrets.iter().map(keys).collect())
    }

    /// The six digits of a code.
    pub fn digits(&self, id: Uuid) -> String {
        let Some(keys) = self.0.first() else { return String::new() };
        let mac: [u8; 32] = keys.digits.clone().chain_update(id.as_bytes()).finalize().into_bytes().into();
        let mut number = [0; 8];
        number.copy_from_slice(&mac[..8]);
        format!("{:06}", u64::from_le_bytes(number) % 1_000_000)
    }

    /// What is stored of a code's digits.
    pub fn hash(&self, id: Uuid, digits: &str) -> Vec<u8> {
        self.0.first().map_or_else(Vec::new, |keys| mac(keys, id, digits).finalize().into_bytes().to_vec())
    }

    /// Whether these are the digits that were stored, in a time that tells nothing.
    pub fn is_right(&self, id: Uuid, digits: &str, hash: &[u8]) -> bool {
        let digits = digits.trim();
        digits.len() == CODE_DIGITS
            && self.0.iter().any(|keys| mac(keys, id, digits).verify_slice(hash).is_ok())
    }
}

impl CodeDigits for CodeKeys {
    fn digits(&self, id: Uuid) -> String {
        Self::digits(self, id)
    }
}

fn mac(keys: &Keys, id: Uuid, digits: &str) -> Hmac<Sha256> {
    keys.hash.clone().chain_update(id.as_bytes()).chain_update(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> CodeKeys {
        CodeKeys::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>())
    }

    #[test]
    fn digits_follow_from_the_id_and_the_secret() {
        let (one, other) = (keys(&["first secret"]), keys(&["second secret"]));
        let ids: Vec<Uuid> = (0..50).map(|_| Uuid::now_v7()).collect();
        assert!(ids.iter().all(|id| one.digits(*id).len() == CODE_DIGITS));
        assert!(ids.iter().all(|id| one.digits(*id) == one.digits(*id)));
        let same = ids.iter().filter(|id| one.digits(**id) == other.digits(**id)).count();
        assert!(same < 3, "{same} of 50 are the same under another secret");
    }

    #[test]
    fn only_the_digits_of_the_same_code_are_right() {
        let keys = keys(&["a secret"]);
        let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
        let digits = keys.digits(id);
        let hash = keys.hash(id, &digits);
        assert!(keys.is_right(id, &digits, &hash));
        assert!(!keys.is_right(other, &digits, &hash));
        let wrong = if digits == "000000" { "000001" } else { "000000" };
        assert!(!keys.is_right(id, wrong, &hash) && !keys.is_right(id, "", &hash));
    }

    #[test]
    fn a_code_of_before_the_rotation_is_still_right() {
        let before = keys(&["old"]);
        let id = Uuid::now_v7();
        let digits = before.digits(id);
        assert!(keys(&["new", "old"]).is_right(id, &digits, &before.hash(id, &digits)));
    }
}
