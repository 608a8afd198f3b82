//! What shops are told: signed, sent again until it is taken, and mistreated on order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::Sha256;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::SandboxError;
use crate::book::now_ms;
use crate::fault::Effect;
use crate::session::Shown;

/// Webhooks that wait or are sent at once; further ones are dropped, and the shop has to ask.
const MAX_WAITING: usize = 20_000;
/// Webhooks that are sent at once.
const AT_ONCE: usize = 64;
/// Times that one is sent until it is taken.
const MAX_TRIES: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What there is to tell.
#[derive(Debug, Clone)]
pub struct Event {
    /// Such as `payment.captured`.
    pub kind: &'static str,
    /// The session as it was then.
    pub session: Shown,
    /// Where to.
    pub url: String,
}

/// Tells shops.
#[derive(Clone)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

struct Inner {
    client: reqwest::Client,
    key: Hmac<Sha256>,
    first_rest: Duration,
    slots: Semaphore,
    waiting: AtomicUsize,
    /// By session, those that let the next one go first.
    held: Mutex<HashMap<String, Arc<Notify>>>,
    shutdown: CancellationToken,
}

impl Webhooks {
    /// Signs with this secret, and rests this long before the second try.
    ///
    /// # Errors
    /// The system lacks what TLS needs.
    pub fn new(
        secret: &SecretString,
        first_rest: Duration,
        shutdown: CancellationToken,
    ) -> Result<Self, SandboxError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SandboxError::Client)?;
        let key = Hmac::new_from_slice(secret.expose_secret().as_bytes())
            .map_err(|_| SandboxError::Secret("SANDBOX_WEBHOOK_SECRET"))?;
        let inner = Inner {
            client,
            key,
            first_rest,
            slots: Semaphore::new(AT_ONCE),
            waiting: AtomicUsize::new(0),
            held: Mutex::default(),
            shutdown,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Tells a shop, in the background and as the faults would have it.
    pub fn send(&self, event: Event, faults: &[Effect]) {
        if faults.contains(&Effect::Lose) {
            tracing::info!(
                session.id = event.session.id,
                kind = event.kind,
                "a webhook was lost, as ordered"
            );
            return;
        }
        let id = format!("sbe_{}", Uuid::new_v4().simple());
        let body = json!({ "id": id, "type": event.kind, "created_ms": now_ms(), "session": event.session });
        let letter = Letter { session: event.session.id, url: event.url, body: body.to_string() };
        let copies = if faults.contains(&Effect::Duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if self.inner.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
                self.inner.waiting.fetch_sub(1, Ordering::Relaxed);
                tracing::warn!(session.id = letter.session, "too many webhooks wait; one is dropped");
                return;
            }
            let (inner, letter, faults) = (self.inner.clone(), letter.clone(), faults.to_vec());
            tokio::spawn(async move {
                inner.shutdown.run_until_cancelled(inner.deliver(&letter, &faults)).await;
                inner.waiting.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

#[derive(Debug, Clone)]
struct Letter {
    session: String,
    url: String,
    body: String,
}

impl Inner {
    async fn deliver(&self, letter: &Letter, faults: &[Effect]) {
        let mut is_held = false;
        for fault in faults {
            match fault {
                Effect::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Effect::Reorder { ms } => {
                    is_held = true;
                    self.let_others_pass(&letter.session, Duration::from_millis(*ms)).await;
                }
                Effect::Status { .. }
                | Effect::Hang { .. }
                | Effect::Pending { .. }
                | Effect::LateSuccess { .. }
                | Effect::Duplicate
                | Effect::Lose
                | Effect::Chargeback { .. } => {}
            }
        }
        let mut rest = self.first_rest;
        for nth in 1..=MAX_TRIES {
            let is_taken = self.try_once(letter).await;
            if nth == 1 && !is_held {
                self.release(&letter.session);
            }
            if is_taken {
                return;
            }
            tokio::time::sleep(rest).await;
            rest *= 2;
        }
        tracing::warn!(session.id = letter.session, "a webhook was not taken after {MAX_TRIES} tries");
    }

    async fn let_others_pass(&self, session: &str, limit: Duration) {
        let passed = self.held.lock().entry(session.to_owned()).or_default().clone();
        let _ = tokio::time::timeout(limit, passed.notified()).await;
        self.held.lock().remove(session);
    }

    fn release(&self, session: &str) {
        if let Some(held) = self.held.lock().get(session) {
            held.notify_waiters();
        }
    }

    async fn try_once(&self, letter: &Letter) -> bool {
        let Ok(_slot) = self.slots.acquire().await else { return false };
        let time = now_ms() / 1_000;
        let mac = self.key.clone().chain_update(format!("{time}.{}", letter.body)).finalize().into_bytes();
        let signature = mac.iter().fold(format!("t={time},v1="), |text, byte| format!("{text}{byte:02x}"));
        let sent = self
            .client
            .post(&letter.url)
            .header("content-type", "application/json")
            .header("sandbox-signature", signature)
            .body(letter.body.clone())
            .send()
            .await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }
}
