//! Passwords, as argon2id.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stored_hash_is_argon2id_of_nineteen_mebibytes_and_two_passes_and_knows_its_password() {
        let passwords = Passwords::default();
        let hash = async |password: &str| passwords.hash(password.into()).await.expect("a hash");
        let verify = async |password: &str, hash: Option<&str>| {
            passwords.verify(password.into(), hash.map(str::to_owned)).await.expect("an answer")
        };
        let stored = hash("long enough").await;
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(!stored.contains("long enough"), "{stored}");
        assert_ne!(stored, hash("long enough").await, "each has a salt of its own");
        assert!(verify("long enough", Some(&stored)).await);
        for wrong in ["long enough ", "Long enough", ""] {
            assert!(!verify(wrong, Some(&stored)).await, "{wrong:?}");
        }
        assert!(!verify("long enough", None).await, "without an account nothing is right");
        assert!(!verify("long enough", Some("long enough")).await, "what is stored must be a hash");
    }
}
