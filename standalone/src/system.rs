//! Gateway, worker and sweeper as tasks of one process.

use shared::config::ConfigError;
use shared::queue::{Queue, QueueError};
use shared::store::{Store, StoreError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::settings::{Part, Settings};

/// What keeps the system from running.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// PostgreSQL.
    #[error("PostgreSQL cannot be used")]
    Store(#[from] StoreError),
    /// Redis.
    #[error("Redis cannot be used")]
    Queue(#[from] QueueError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] gateway::GatewayError),
}

/// A running system.
pub struct System {
    /// Where the gateway answers, such as `http://127.0.0.1:8000`; empty without one.
    pub url: String,
    /// PostgreSQL, on connections of its own.
    pub store: Store,
    /// Redis, on a connection of its own.
    pub queue: Queue,
    /// Cancelled when any part ends, by itself or because it was told to.
    pub shutdown: CancellationToken,
    parts: Vec<JoinHandle<()>>,
}

impl System {
    /// Starts these parts (none: all of them) over stores that are there and migrated. Without a `PUBLIC_URL` it is
    /// where the gateway listens.
    ///
    /// # Errors
    /// The settings make no sense, a store is away or not as it must be, or the port is taken.
    pub async fn start(settings: &Settings, only: &[Part]) -> Result<Self, SystemError> {
        settings.check()?;
        let mut settings = settings.clone();
        let is_wanted = |part| only.is_empty() || only.contains(&part);
        let shutdown = CancellationToken::new();
        let store = Store::connect(&settings.store).await?;
        store.check_schema().await?;
        let queue = Queue::connect(&settings.queue).await?;
        queue.check_server().await?;
        let mut system = Self { url: String::new(), store, queue, shutdown, parts: Vec::new() };
        if is_wanted(Part::Gateway) {
            system.start_gateway(&mut settings).await?;
        }
        // Each part has connections of its own, so that none waits behind another one's calls.
        if is_wanted(Part::Worker) {
            let stores = connect(&settings).await?;
            let (config, services) = (settings.worker.clone(), settings.services.clone());
            let shutdown = system.shutdown.clone();
            system.keep(async move { worker::run(config, services, stores, shutdown).await });
        }
        if is_wanted(Part::Sweeper) {
            let stores = connect(&settings).await?;
            let (config, services) = (settings.sweeper.clone(), settings.services.clone());
            let shutdown = system.shutdown.clone();
            system.keep(async move { sweeper::run(config, services, stores, shutdown).await });
        }
        Ok(system)
    }

    async fn start_gateway(&mut self, settings: &mut Settings) -> Result<(), SystemError> {
        let listener = gateway::listen(&settings.gateway)?;
        let address = listener.local_addr().map_err(gateway::GatewayError::Serve)?;
        let scheme = if settings.gateway.has_tls() { "https" } else { "http" };
        self.url = format!("{scheme}://{address}");
        let public_url = &mut settings.services.pay.public_url;
        // An address that stands for all of them is none that a browser should be sent to.
        public_url.get_or_insert_with(|| self.url.replace("//0.0.0.0:", "//127.0.0.1:"));
        let stores = connect(settings).await?;
        let (config, services) = (settings.gateway.clone(), settings.services.clone());
        let shutdown = self.shutdown.clone();
        self.keep(async move { gateway::run(config, services, listener, stores, shutdown).await });
        Ok(())
    }

    /// A part that ends by itself ends the others: half a system is harder to notice than none.
    fn keep<E: std::error::Error>(&mut self, part: impl Future<Output = Result<(), E>> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.parts.push(tokio::spawn(async move {
            if let Err(error) = part.await {
                tracing::error!(error = shared::telemetry::chain(&error), "a part of the system ended");
            }
            shutdown.cancel();
        }));
    }

    /// Stops every part in order and waits for them.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for part in self.parts {
            let _ = part.await;
        }
    }
}

async fn connect(settings: &Settings) -> Result<(Store, Queue), SystemError> {
    Ok((Store::connect(&settings.store).await?, Queue::connect(&settings.queue).await?))
}
