//! The gateway as a process of its own.

use anyhow::Context as _;
use clap::Parser;
use gateway::config::GatewayConfig;
use shared::config::{QueueConfig, ServicesConfig, StoreConfig};
use shared::queue::Queue;
use shared::store::Store;
use shared::telemetry::{self, LogConfig};
use tikv_jemallocator::Jemalloc;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// HTTP and WebSocket front of Usher
#[derive(Parser)]
#[command(version)]
struct Settings {
    #[command(flatten)]
    store: StoreConfig,
    #[command(flatten)]
    queue: QueueConfig,
    #[command(flatten)]
    services: ServicesConfig,
    #[command(flatten)]
    gateway: GatewayConfig,
    #[command(flatten)]
    log: LogConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    telemetry::start(&settings.log);
    settings.queue.check(&settings.store)?;
    let listener = gateway::listen(&settings.gateway)?;
    let store = Store::connect(&settings.store).await?;
    store.check_schema().await.context("the schema does not fit")?;
    let queue = Queue::connect(&settings.queue).await.context("cannot reach Redis")?;
    queue.check_server().await.context("Redis cannot be used as it is")?;
    let shutdown = CancellationToken::new();
    tokio::spawn(telemetry::shutdown_on_signal(shutdown.clone()));
    Ok(gateway::run(settings.gateway, settings.services, listener, (store, queue), shutdown).await?)
}
