//! The booking worker, in reading order:
//!
//! - [`config`]: its settings.
//! - [`lane_source`]: which lane to claim next, as an apalis backend.
//! - [`mod@reserve_seats`]: the job that decides a batch under its lease.
//! - [`mod@run_jobs`]: jobs of named queues, each run by its queue's handler, which may tell its [`progress`].
//!   [`queues`]: which handlers there are: [`free_bookings`], [`mod@issue_tickets`], [`refunds`], and [`send_messages`]
//!   for mail, SMS and push.
//! - [`consumers`]: the event stream, sent and handled.
//!
//! [`run`] and [`run_queue`] put them together. apalis' types stay in this crate.

pub mod config;
pub mod consumers;
pub mod free_bookings;
pub mod issue_tickets;
pub mod lane_source;
pub mod progress;
pub mod queues;
pub mod refunds;
pub mod reserve_seats;
pub mod run_jobs;
pub mod send_messages;

use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::{Monitor, WorkerBuilder, WorkerBuilderExt as _};
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use shared::config::ServicesConfig;
use shared::queue::Queue;
use shared::queue::claim::Lease;
use shared::seen::{self, Part};
use shared::shop::Reserver;
use shared::store::Store;
use tokio_util::sync::CancellationToken;

use config::WorkerConfig;
use lane_source::{LaneSource, Scheduler};
use reserve_seats::{ReserveSeats, reserve_seats};
use run_jobs::{Handler, Policy, RunJobs, run_jobs};

/// How long a worker that ends shows what was won in a rush, or waits for what else it does to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What ended the worker against its will.
#[derive(Debug, thiserror::Error)]
#[error("the worker ended by itself")]
pub struct WorkerEnded(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Works until `shutdown`: then nothing is claimed any more, the batches at hand are finished, and it returns
/// within the configured time.
///
/// # Errors
/// There is no key for tickets, or apalis gave up, which its restarts should prevent.
pub async fn run(
    config: WorkerConfig,
    services: ServicesConfig,
    (store, queue): (Store, Queue),
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    tokio::spawn(seen::keep_writing(Part::Worker, store.clone(), shutdown.clone()));
    // Messages carry tickets; without a key it is told now, not when the first order is paid.
    services.tickets.keys().map_err(|error| WorkerEnded(error.into()))?;
    let bookings = run_bookings(config.clone(), store.clone(), queue.clone(), shutdown.clone());
    let name = format!("worker-{:08x}", rand_id());
    let stream = consumers::run(services.clone(), (store.clone(), queue.clone()), &name, shutdown.clone());
    let longest = Duration::from_millis(config.worker_shutdown_ms) + FAREWELL;
    let named = queues::run(config, services, (store, queue), shutdown.clone());
    let working = async { tokio::try_join!(bookings, named, stream).map(|_| ()) };
    tokio::select! {
        ended = working => ended,
        // What is cut short is delivered again.
        () = async { shutdown.cancelled().await; tokio::time::sleep(longest).await } => {
            tracing::warn!("worker ends with work at hand; it is done by the next one");
            Ok(())
        }
    }
}

async fn run_bookings(
    config: WorkerConfig,
    store: Store,
    queue: Queue,
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    let name = format!("worker-{:08x}", rand_id());
    let backoff = Duration::from_millis(config.worker_backoff_ms);
    let reserver = Reserver::new(store.clone(), queue.clone(), config.worker_max_attempts, backoff);
    let scheduler = Scheduler::start(store, queue.clone(), name.clone(), config.clone(), &shutdown);
    let (showing, until) = (reserver.clone(), shutdown.clone());
    tokio::spawn(async move { until.run_until_cancelled(showing.show_after_rushes()).await });
    let last = reserver.clone();
    let job = ReserveSeats { reserver, queue, scheduler: scheduler.clone(), limit: config.batch_limit() };
    tracing::info!(
        worker = name,
        lanes = config.worker_lanes,
        "worker {name} takes up to {} lanes at once",
        config.worker_lanes
    );
    let build = move |restarts| {
        WorkerBuilder::new(format!("{name}-{restarts}"))
            .backend(LaneSource::new(scheduler.clone()))
            .concurrency(config.worker_lanes)
            .catch_panic()
            .data(job.clone())
            .parallelize(tokio::spawn)
            .build(reserve_seats)
    };
    monitor(Monitor::new().register(build), config.worker_shutdown_ms, shutdown).await?;
    // They are for display only, and keep nobody from ending.
    let _ = tokio::time::timeout(FAREWELL, last.show_unshown()).await;
    Ok(())
}

/// Works on a named queue until `shutdown`, likewise.
///
/// # Errors
/// As [`run`].
pub async fn run_queue(
    name: &str,
    handler: Arc<dyn Handler>,
    policy: Policy,
    config: WorkerConfig,
    (store, queue): (Store, &Queue),
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    let queue = queue.named(name);
    let worker = format!("{name}-{:08x}", rand_id());
    let shutdown_ms = config.worker_shutdown_ms;
    let config = WorkerConfig { worker_max_batch: policy.at_once, ..config };
    let scheduler = Scheduler::start(store.clone(), queue.clone(), worker.clone(), config, &shutdown);
    let job = RunJobs { store, queue, scheduler: scheduler.clone(), handler, policy };
    let build = move |restarts| {
        WorkerBuilder::new(format!("{worker}-{restarts}"))
            .backend(LaneSource::new(scheduler.clone()))
            .concurrency(policy.lanes)
            .catch_panic()
            .data(job.clone())
            .parallelize(tokio::spawn)
            .build(run_jobs)
    };
    monitor(Monitor::new().register(build), shutdown_ms, shutdown).await
}

/// Runs what is registered, starting anew what stumbles, until `shutdown`; what is at hand then may take so long.
async fn monitor(monitor: Monitor, shutdown_ms: u64, shutdown: CancellationToken) -> Result<(), WorkerEnded> {
    let ended = shutdown.clone();
    monitor
        .should_restart(move |_, error| {
            seen::error(Part::Worker, "stumbled", None);
            tracing::error!(error = %error, "worker stumbled; starting it anew");
            !ended.is_cancelled()
        })
        .shutdown_timeout(Duration::from_millis(shutdown_ms))
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

/// Keeps a lease for as long as the batch may take.
pub(crate) async fn renew(queue: Queue, lease: Lease, limit: Duration) {
    let started = Instant::now();
    let every = queue.config().lease() / 3;
    while started.elapsed() < limit {
        tokio::time::sleep(every).await;
        match queue.renew(&lease).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(error) => tracing::warn!(
                event.id = lease.event.0,
                error = shared::telemetry::chain(&error),
                "lease could not be renewed"
            ),
        }
    }
}
