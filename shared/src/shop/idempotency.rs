//! The same request twice has one effect: what was answered the first time is answered again.

use aes_gcm::aead::{Aead as _, Generate as _};
use aes_gcm::{Aes256Gcm, Key, KeyInit as _, Nonce};
use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Fault;
use crate::domain::keyed;
use crate::store::{Begun, Store};

/// Bytes of the nonce that an answer is sealed with, before it.
const NONCE: usize = 12;

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of the headers that belong to the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A request that names itself by a key.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    id: [u8; 32],
    body_hash: [u8; 32],
    /// What its answer is sealed with, next to a secret: nobody who has the row alone has the key.
    sealing: Vec<u8>,
}

impl KeyedRequest {
    /// `scope` says who asks and where (account, method, path): another one's key is another key.
    pub fn new(scope: &str, key: &str, body: &[u8]) -> Self {
        let sealing = [scope.as_bytes(), b"\0", key.as_bytes()].concat();
        Self { id: Sha256::digest(&sealing).into(), body_hash: Sha256::digest(body).into(), sealing }
    }
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// Work on it.
    New,
    /// Answer this.
    Answer(KeptAnswer),
    /// The same is being worked on right now.
    InProgress,
    /// The key was used for another request.
    Mismatch,
}

/// Requests with keys; clones share the store.
#[derive(Clone)]
pub struct Idempotency {
    store: Store,
    /// Newest first: the first seals, all open.
    secrets: Vec<SecretString>,
}

impl Idempotency {
    /// Over this store; answers are sealed under the first of the secrets.
    pub fn new(store: Store, secrets: Vec<SecretString>) -> Self {
        Self { store, secrets }
    }

    /// What to do with a request.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin(&self, request: &KeyedRequest) -> Result<Replay, Fault> {
        Ok(match self.store.begin_request(&request.id, &request.body_hash).await? {
            Begun::New => Replay::New,
            Begun::InProgress => Replay::InProgress,
            Begun::Mismatch => Replay::Mismatch,
            // Sealed under a secret that is no longer ours: that it was done is still known.
            Begun::Answered(sealed) => self.open(request, &sealed).map_or(Replay::InProgress, Replay::Answer),
        })
    }

    /// Keeps an answer for a day; without one the request had no effect and may be made again.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn end(&self, request: &KeyedRequest, answer: Option<&KeptAnswer>) -> Result<(), Fault> {
        match answer.and_then(|answer| self.seal(request, answer)) {
            Some(sealed) => self.store.keep_answer(&request.id, &sealed).await?,
            None => self.store.forget_request(&request.id).await?,
        }
        Ok(())
    }

    fn seal(&self, request: &KeyedRequest, answer: &KeptAnswer) -> Option<Vec<u8>> {
        let nonce = Nonce::generate();
        let text = serde_json::to_vec(answer).ok()?;
        let sealed = cipher(self.secrets.first()?, request).encrypt(&nonce, text.as_slice()).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, request: &KeyedRequest, sealed: &[u8]) -> Option<KeptAnswer> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let nonce = Nonce::try_from(nonce).ok()?;
        self.secrets.iter().find_map(|secret| {
            let text = cipher(secret, request).decrypt(&nonce, sealed).ok()?;
            serde_json::from_slice(&text).ok()
        })
    }
}

fn cipher(secret: &SecretString, request: &KeyedRequest) -> Aes256Gcm {
    let mac = keyed(secret.expose_secret().as_bytes())
        .chain_update(b"usher idempotent answer\0")
        .chain_update(&request.sealing);
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(<[u8; 32]>::from(mac.finalize().into_bytes())))
}
