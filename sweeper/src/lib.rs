//! The sweeper, in reading order:
//!
//! - [`config`]: its settings.
//! - [`mod@tick`]: what happens every second, by whoever leads.
//! - `mend`: what it mends and tidies beside that.
//! - `turns`: one tick at a time, and at most one that waits.
//!
//! [`run`] lets apalis-cron tick. Any number may run; PostgreSQL's advisory lock makes them act as one.

pub mod config;
mod mend;
pub mod tick;
mod turns;

use std::str::FromStr as _;
use std::time::Duration;

use apalis::prelude::{Monitor, WorkerBuilder};
use apalis_core::worker::ext::parallelize::ParallelizeExt as _;
use apalis_cron::CronScheduler;
use shared::config::ServicesConfig;
use shared::queue::Queue;
use shared::seen::{self, Part};
use shared::shop::Sweeps;
use shared::shop::checkout::Payments;
use shared::store::Store;
use tokio_util::sync::CancellationToken;

use config::SweeperConfig;
use tick::{Ticker, tick};

/// What ended the sweeper against its will.
#[derive(Debug, thiserror::Error)]
#[error("the sweeper ended by itself")]
pub struct SweeperEnded(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Sweeps until `shutdown`.
///
/// # Errors
/// The schedule makes no sense, or apalis gave up, which its restarts should prevent.
pub async fn run(
    config: SweeperConfig,
    services: ServicesConfig,
    (store, queue): (Store, Queue),
    shutdown: CancellationToken,
) -> Result<(), SweeperEnded> {
    let schedule =
        cron::Schedule::from_str(&config.sweeper_schedule).map_err(|error| SweeperEnded(error.into()))?;
    config.check().map_err(|error| SweeperEnded(error.into()))?;
    tokio::spawn(seen::keep_writing(Part::Sweeper, store.clone(), shutdown.clone()));
    let keep_days = i32::try_from(config.audit_keep_days).unwrap_or(i32::MAX);
    let payments = Payments::connect(&services, (store.clone(), queue.clone()), Part::Sweeper)
        .map_err(|error| SweeperEnded(error.into()))?;
    let ticker = Ticker::new(Sweeps::new(store, queue), (payments, keep_days), shutdown.clone());
    tracing::info!(schedule = config.sweeper_schedule, "sweeper is ready");
    let (working, ended) = (ticker.clone(), shutdown.clone());
    Monitor::new()
        .register(move |restarts| {
            WorkerBuilder::new(format!("sweeper-{restarts}"))
                .backend(CronScheduler::new(schedule.clone()))
                .data(working.clone())
                .parallelize(tokio::spawn)
                .build(tick)
        })
        .should_restart(move |_, error| {
            seen::error(Part::Sweeper, "stumbled", None);
            tracing::error!(error = %error, "sweeper stumbled; starting it anew");
            !ended.is_cancelled()
        })
        .shutdown_timeout(Duration::from_secs(5))
        .run_with_signal(async move {
            shutdown.cancelled().await;
            Ok(())
        })
        .await
        .map_err(|error| SweeperEnded(error.into()))?;
    ticker.resign().await;
    tracing::info!("sweeper has stopped");
    Ok(())
}
