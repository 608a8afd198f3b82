//! Refresh tokens: random at a log-in, and after that each made of the one before it.

use hmac::{Hmac, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;

use super::keyed::derive;
use super::tokens::{hex, random_hex};

/// Makes each refresh token of the one before it, so that whoever asks twice with the same one is given the same next one:
/// an answer that was lost can be given again, and no log-in ever has two tokens to go on with.
#[derive(Clone)]
pub struct RefreshKeys(Vec<Hmac<Sha256>>);

impl std::fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshKeys([redacted])")
    }
}

impl RefreshKeys {
    /// Keys from the secrets, newest first.
    pub fn new(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().map(|secret| derive(secret, "usher refresh token 1")).collect())
    }

    /// The token that follows this one, with what is stored of it: under each of the secrets, newest first. It follows from
    /// the token itself, so nobody makes it of what is stored, whatever secrets they have.
    pub fn following(&self, token: &str) -> Vec<(String, Vec<u8>)> {
        let following = |key: &Hmac<Sha256>| {
            let mac: [u8; 32] = key.clone().chain_update(token).finalize().into_bytes().into();
            let next = hex(&mac);
            let hash = refresh_token_hash(&next);
            (next, hash)
        };
        self.0.iter().map(following).collect()
    }
}

/// The refresh token of a new log-in, and the SHA-256 that is stored of it.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> RefreshKeys {
        RefreshKeys::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>())
    }

    #[test]
    fn one_token_is_followed_by_one_and_another_by_another() {
        let keys = keys(&["a secret"]);
        let ((one, _), (other, _)) = (new_refresh_token(), new_refresh_token());
        let following = keys.following(&one);
        assert_eq!(following.len(), 1, "one for each secret");
        assert_eq!(keys.following(&one), following, "whoever asks again gets the same");
        let (next, hash) = &following[0];
        assert_eq!((next.len(), hash), (64, &refresh_token_hash(next)));
        assert_ne!(keys.following(&other)[0].0, *next);
        assert_ne!(keys.following(next)[0].0, *next);
    }

    #[test]
    fn what_followed_before_the_secret_was_changed_is_still_known() {
        let (token, _) = new_refresh_token();
        let before = keys(&["old"]).following(&token);
        let now = keys(&["new", "old"]).following(&token);
        assert_eq!(now.len(), 2);
        assert_ne!(now[0], before[0], "the newest secret makes new ones");
        assert_eq!(now[1], before[0]);
    }
}
