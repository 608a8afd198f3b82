//! The booking worker, in reading order:
//!
//! - [`config`]: its settings.
//! - [`lane_source`]: which lane to claim next, as an apalis backend.
//! - [`mod@reserve_seats`]: the job that decides a batch under its lease.
//!
//! [`run`] puts them together. apalis' types stay in this crate.

pub mod config;
pub mod lane_source;
pub mod reserve_seats;

use std::time::Duration;

use apalis::prelude::{Monitor, WorkerBuilder, WorkerBuilderExt as _};
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use shared::queue::Queue;
use shared::shop::Reserver;
use shared::store::Store;
use tokio_util::sync::CancellationToken;

use config::WorkerConfig;
use lane_source::{LaneSource, Scheduler};
use reserve_seats::{ReserveSeats, reserve_seats};

/// What ended the worker against its will.
#[derive(Debug, thiserror::Error)]
#[error("the worker ended by itself")]
pub struct WorkerEnded(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Works until `shutdown`: then nothing is claimed any more, the batches at hand are finished, and it returns
/// within the configured time.
///
/// # Errors
/// apalis gave up, which its restarts should prevent.
pub async fn run(
    config: WorkerConfig,
    store: Store,
    queue: Queue,
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    let name = format!("worker-{:08x}", rand_id());
    let backoff = Duration::from_millis(config.worker_backoff_ms);
    let reserver = Reserver::new(store.clone(), queue.clone(), config.worker_max_attempts, backoff);
    let scheduler = Scheduler::start(store, queue.clone(), name.clone(), config.clone(), &shutdown);
    let job = ReserveSeats { reserver, queue, scheduler: scheduler.clone(), limit: config.batch_limit() };
    tracing::info!(
        worker = name,
        lanes = config.worker_lanes,
        "worker {name} takes up to {} lanes at once",
        config.worker_lanes
    );
    let ended = shutdown.clone();
    Monitor::new()
        .register(move |restarts| {
            WorkerBuilder::new(format!("{name}-{restarts}"))
                .backend(LaneSource::new(scheduler.clone()))
                .concurrency(config.worker_lanes)
                .catch_panic()
                .data(job.clone())
                .parallelize(tokio::spawn)
                .build(reserve_seats)
        })
        .should_restart(move |_, error| {
            tracing::error!(error = %error, "worker stumbled; starting it anew");
            !ended.is_cancelled()
        })
        .shutdown_timeout(Duration::from_millis(config.worker_shutdown_ms))
        .run_with_signal(async move {
            shutdown.cancelled().await;
            Ok(())
        })
        .await
        .map_err(|error| WorkerEnded(error.into()))?;
    tracing::info!("worker has stopped");
    Ok(())
}

/// Tells workers of one machine apart, and one start from the next: a restarted worker has no lease.
fn rand_id() -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    u32::try_from(hasher.finish() >> 32).unwrap_or(0)
}
