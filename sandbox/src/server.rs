//! Serving, and what handlers share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::book::{Book, now_ms};
use crate::config::SandboxConfig;
use crate::fault::{Effect, Faults, Point};
use crate::meter::Meter;
use crate::session::{Session, Status};
use crate::webhook::{Event, Webhooks};
use crate::{api, page};

/// Bytes that a request may have.
const MAX_BODY: usize = 64 << 10;
/// Requests at hand may take this long at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often it is looked which pages have had their time.
const LOOK: Duration = Duration::from_secs(1);

/// What keeps the sandbox from serving.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A secret is missing or too short.
    #[error("{0} is not set, or shorter than 16 characters")]
    Secret(&'static str),
    /// The file of a secret cannot be read.
    #[error("{name}_FILE names a file that cannot be read")]
    File {
        /// The secret.
        name: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client can be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// Serving ended.
    #[error("serving ended by itself")]
    Serve(#[source] std::io::Error),
}

/// What handlers share; clones are cheap.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

/// See [`App`]; handlers reach the fields directly.
pub struct Inner {
    /// All sessions.
    pub book: Mutex<Book>,
    /// What goes wrong on order.
    pub faults: Faults,
    /// How many calls shops make.
    pub meter: Meter,
    /// Where payers reach the pages.
    pub base: String,
    /// Told to stop.
    pub shutdown: CancellationToken,
    webhooks: Webhooks,
    lock: Hmac<Sha256>,
    key: Vec<u8>,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl App {
    fn new(config: &SandboxConfig, base: String, shutdown: CancellationToken) -> Result<Self, SandboxError> {
        let secret = config.webhook_secret()?;
        let lock = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .map_err(|_| SandboxError::Secret("SANDBOX_WEBHOOK_SECRET"))?;
        let key = lock.clone().chain_update(config.key()?.expose_secret()).finalize().into_bytes().to_vec();
        let rest = Duration::from_millis(config.sandbox_webhook_retry_ms);
        let inner = Inner {
            book: Mutex::new(Book::new(config.sandbox_max_sessions)),
            faults: Faults::default(),
            meter: Meter::default(),
            base,
            webhooks: Webhooks::new(&secret, rest, shutdown.clone())?,
            shutdown,
            lock,
            key,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether this is the key; compared in constant time.
    pub fn is_key(&self, shown: &str) -> bool {
        self.lock.clone().chain_update(shown).verify_slice(&self.key).is_ok()
    }

    /// Tells the shop how a session stands.
    pub fn tell(&self, session: &Session) {
        self.tell_as(session, kind_of(session.status));
    }

    /// Tells the shop this of a session.
    pub fn tell_as(&self, session: &Session, kind: &'static str) {
        let faults = self.faults.strike(Point::Webhook, Some(&session.id));
        let event = Event { kind, session: session.show(&self.base), url: session.new.webhook_url.clone() };
        self.webhooks.send(event, &faults);
        if kind == "payment.captured" {
            self.charge_back_on_order(session);
        }
    }

    fn charge_back_on_order(&self, session: &Session) {
        for effect in self.faults.strike(Point::Paid, Some(&session.id)) {
            if let Effect::Chargeback { ms } = effect {
                self.later(session.id.clone(), ms, Session::charge_back);
            }
        }
    }

    /// Changes a session after a while, and tells the shop if that changed anything.
    pub fn later(&self, id: String, ms: u64, change: fn(&mut Session) -> bool) {
        let app = self.clone();
        tokio::spawn(async move {
            app.pause(ms).await;
            let changed = changed(app.book.lock().get_mut(&id), change);
            if let Some(session) = changed {
                app.tell(&session);
            }
        });
    }

    /// Ends a pending refund after a while, and tells the shop.
    pub fn finish_refund_later(&self, id: String, refund: String, ms: u64) {
        let app = self.clone();
        tokio::spawn(async move {
            app.pause(ms).await;
            let changed = changed(app.book.lock().get_mut(&id), |session| session.finish_refund(&refund));
            if let Some(session) = changed {
                app.tell_as(&session, "refund.succeeded");
            }
        });
    }

    /// Waits, though not beyond the end.
    pub async fn pause(&self, ms: u64) {
        self.shutdown.run_until_cancelled(tokio::time::sleep(Duration::from_millis(ms))).await;
    }

    async fn close_old_pages(&self, lifetime_ms: u64) {
        loop {
            tokio::time::sleep(LOOK).await;
            let closed = self.book.lock().expire_before(now_ms().saturating_sub(lifetime_ms));
            for session in &closed {
                self.tell(session);
            }
        }
    }
}

/// A session after a change, if it changed anything.
fn changed(session: Option<&mut Session>, change: impl FnOnce(&mut Session) -> bool) -> Option<Session> {
    let session = session?;
    change(session).then(|| session.clone())
}

fn kind_of(status: Status) -> &'static str {
    match status {
        Status::Open => "session.opened",
        Status::Authorized => "payment.authorized",
        Status::Captured => "payment.captured",
        Status::Declined => "payment.declined",
        Status::Expired => "session.expired",
        Status::Released => "payment.released",
        Status::ChargedBack => "payment.charged_back",
    }
}

/// Where it is reached when nothing says otherwise. An address that stands for all of them is none to send a payer to.
fn own_url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// Serves until `shutdown`; then requests at hand are finished, for some seconds at most.
///
/// # Errors
/// A secret is missing, or serving ended.
pub async fn serve(
    listener: TcpListener,
    config: SandboxConfig,
    shutdown: CancellationToken,
) -> Result<(), SandboxError> {
    let address = listener.local_addr().map_err(SandboxError::Serve)?;
    let base = config.sandbox_public_url.clone().filter(|url| !url.is_empty());
    let base = base.map_or_else(|| own_url(address), |url| url.trim_end_matches('/').to_owned());
    let app = App::new(&config, base, shutdown.clone())?;
    let (closing, ended) = (app.clone(), shutdown.clone());
    let lifetime_ms = config.sandbox_session_seconds.saturating_mul(1_000);
    tokio::spawn(async move { ended.run_until_cancelled(closing.close_old_pages(lifetime_ms)).await });
    tracing::info!(address = %address, "sandbox listens on {address}");
    let router: Router =
        api::router(app.clone()).merge(page::router(app)).layer(DefaultBodyLimit::max(MAX_BODY));
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        ended = async { served.await } => ended.map_err(SandboxError::Serve),
        () = async { shutdown.cancelled().await; tokio::time::sleep(FAREWELL).await } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payers_are_never_sent_to_an_address_that_stands_for_all() {
        for (listens, url) in [
            ("0.0.0.0:8008", "http://127.0.0.1:8008"),
            ("[::]:8008", "http://127.0.0.1:8008"),
            ("192.0.2.7:8008", "http://192.0.2.7:8008"),
        ] {
            assert_eq!(own_url(listens.parse().expect("an address")), url);
        }
    }
}
