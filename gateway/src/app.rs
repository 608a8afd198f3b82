//! What handlers share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use secrecy::ExposeSecret as _;
use shared::auth::{AccessTokens, Passwords};
use shared::config::ServicesConfig;
use shared::domain::{EventId, JobRefKeys};
use shared::queue::Queue;
use shared::queue::enqueuer::Enqueuer;
use shared::seen::Part;
use shared::shop::admin::Administration;
use shared::shop::checkout::{Checkout, Payments, Refunds};
use shared::shop::{
    Accounts, Carts, Catalogue, Desk, Figures, Idempotency, Lanes, Listings, Operations, Oversight, Tickets,
};
use shared::store::Store;
use shared::stream::Broker;
use tokio_util::sync::CancellationToken;

use crate::GatewayError;
use crate::config::GatewayConfig;
use crate::limits::Limits;
use crate::probes::Probed;
use crate::ws::Hub;

/// How often it is looked how full Redis is.
const LOOK: Duration = Duration::from_secs(1);
/// How often those who have not asked for a while are forgotten.
const TIDY: Duration = Duration::from_mins(1);

/// What handlers share; clones are cheap.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

/// See [`App`]; handlers reach the fields directly.
pub struct Inner {
    /// Settings.
    pub config: GatewayConfig,
    /// Settings that the processes share.
    pub services: ServicesConfig,
    /// PostgreSQL.
    pub store: Store,
    /// Redis.
    pub queue: Queue,
    /// Access tokens.
    pub tokens: AccessTokens,
    /// Passwords.
    pub passwords: Passwords,
    /// Accounts.
    pub accounts: Accounts,
    /// Events.
    pub catalogue: Catalogue,
    /// Lists and search of events.
    pub listings: Listings,
    /// The admins' side of the catalogue.
    pub administration: Administration,
    /// Lines.
    pub desk: Desk,
    /// Carts.
    pub carts: Carts,
    /// The same request twice.
    pub idempotency: Idempotency,
    /// Orders.
    pub checkout: Checkout,
    /// Money back.
    pub refunds: Refunds,
    /// The operators' side.
    pub operations: Operations,
    /// The administration's side.
    pub oversight: Oversight,
    /// What was bought.
    pub tickets: Tickets,
    /// Messages that were not sent but kept.
    pub mailbox: shared::messages::Mailbox,
    /// Live figures, and how the event stream stands.
    pub figures: Figures,
    /// How often one may ask.
    pub limits: Limits,
    /// Open sockets.
    pub hub: Hub,
    /// Seat maps as they are sent, with the version of their layout.
    pub seatmaps: Mutex<HashMap<EventId, (u32, Bytes)>>,
    /// Whether the stores answer.
    pub probed: Probed,
    /// Figures.
    pub metrics: PrometheusHandle,
    /// Told to stop: no balancer should send anybody any more.
    pub stopping: CancellationToken,
    /// The end: nobody new is served.
    pub shutdown: CancellationToken,
    is_full: AtomicBool,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl App {
    /// Puts everything together and starts to follow the feeds. `stopping` comes before `shutdown`, or with it.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn start(
        mut config: GatewayConfig,
        services: ServicesConfig,
        (store, queue): (Store, Queue),
        metrics: PrometheusHandle,
        (stopping, shutdown): (&CancellationToken, &CancellationToken),
    ) -> Result<Self, GatewayError> {
        config.check()?;
        config.cookie_secure |= config.has_tls();
        let secrets = services.auth.secrets()?;
        let signing: Vec<&[u8]> = secrets.iter().map(|secret| secret.expose_secret().as_bytes()).collect();
        let catalogue = Catalogue::new(store.clone());
        let enqueuer = Enqueuer::start(queue.clone());
        let hub = Hub::new();
        let lanes =
            Lanes::start(store.clone(), queue.clone(), enqueuer.clone(), Box::new(hub.clone()), shutdown);
        let carts = Carts::new(store.clone(), queue.clone(), catalogue.clone());
        let desk = Desk::new(catalogue.clone(), lanes, enqueuer, carts.clone(), JobRefKeys::new(&signing));
        hub.start(desk.clone(), shutdown);
        let tokens = AccessTokens::new(&secrets, services.auth.access_token_seconds);
        let passwords = Passwords::default();
        let accounts = Accounts::new(
            (store.clone(), carts.clone()),
            (tokens.clone(), passwords.clone()),
            &secrets,
            services.messages.sms_codes_a_day,
        );
        let payments = Payments::connect(&services, (store.clone(), queue.clone()), Part::Gateway)?;
        let app = Self {
            inner: Arc::new(Inner {
                tokens,
                passwords,
                accounts,
                idempotency: Idempotency::new(store.clone(), secrets.clone()),
                operations: Operations::new(store.clone(), queue.clone(), catalogue.clone(), desk.clone()),
                limits: Limits::new(&config, queue.clone(), secrets.first().cloned().unwrap_or_default()),
                oversight: Oversight::new(store.clone()),
                tickets: Tickets::new(store.clone(), &services.tickets)?,
                mailbox: shared::messages::Mailbox::new(store.clone(), &services.messages),
                listings: Listings::start(store.clone(), queue.clone(), shutdown),
                administration: Administration::new(store.clone(), queue.clone()),
                checkout: Checkout::new(store.clone(), carts.clone(), payments.clone()),
                refunds: Refunds::new(payments),
                figures: Figures::new(store.clone(), Broker::new(queue.clone(), services.stream.clone())?),
                catalogue,
                seatmaps: Mutex::default(),
                desk,
                carts,
                hub,
                probed: Probed::default(),
                metrics,
                store,
                queue,
                config,
                services,
                stopping: stopping.clone(),
                shutdown: shutdown.clone(),
                is_full: AtomicBool::new(false),
            }),
        };
        let (following, until) = (app.accounts.clone(), shutdown.clone());
        tokio::spawn(async move { until.run_until_cancelled(following.follow_ended()).await });
        let (watching, shutdown) = (app.clone(), shutdown.clone());
        tokio::spawn(async move { shutdown.run_until_cancelled(watching.watch_memory()).await });
        Ok(app)
    }

    /// Redis is so full that nothing new is queued.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    async fn watch_memory(&self) {
        let mut tidied = Instant::now();
        loop {
            if let Ok(fullness) = self.queue.fullness().await {
                let is_full = fullness > self.config.queue_watermark;
                if is_full != self.is_full.swap(is_full, Ordering::Relaxed) {
                    tracing::warn!(fullness, is_full, "Redis has passed the watermark of its memory");
                }
            }
            self.metrics.run_upkeep();
            if tidied.elapsed() > TIDY {
                tidied = Instant::now();
                // A walk over everybody who asked lately: off the threads that answer.
                let app = self.clone();
                let _ = tokio::task::spawn_blocking(move || app.limits.forget_idle()).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
