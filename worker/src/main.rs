//! The booking worker as a process of its own.

use anyhow::Context as _;
use clap::Parser;
use shared::config::{QueueConfig, ServicesConfig, StoreConfig};
use shared::queue::Queue;
use shared::store::Store;
use shared::telemetry::{self, LogConfig, MetricsConfig};
use tikv_jemallocator::Jemalloc;
use tokio_util::sync::CancellationToken;
use worker::config::WorkerConfig;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Decides booking jobs in the order of the queue
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
    worker: WorkerConfig,
    #[command(flatten)]
    log: LogConfig,
    #[command(flatten)]
    metrics: MetricsConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    telemetry::start(&settings.log);
    settings.queue.check(&settings.store)?;
    settings.worker.check()?;
    telemetry::tell_figures(&settings.metrics)?;
    settings.services.messages.check()?;
    let store = Store::connect(&settings.store).await?;
    store.check_schema().await.context("the schema does not fit")?;
    let queue = Queue::connect(&settings.queue).await.context("cannot reach Redis")?;
    queue.check_server().await.context("Redis cannot be used as it is")?;
    let shutdown = CancellationToken::new();
    tokio::spawn(telemetry::shutdown_on_signal(shutdown.clone()));
    Ok(worker::run(settings.worker, settings.services, (store, queue), shutdown).await?)
}
