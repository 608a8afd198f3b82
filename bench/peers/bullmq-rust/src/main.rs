//! Measures the official Rust port of `BullMQ` on a given Redis; prints one line of JSON per result.
//!
//! The same measures, and the same lines, as those of the peer in Node.

mod adding;
mod database;
mod holder;
mod memory;
mod parallel;
mod position;
mod processing;
mod queue;
mod recovery;
mod report;
mod settings;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use tikv_jemallocator::Jemalloc;
use tokio::time::timeout;

use settings::{Cli, Measure, Settings};

// The same allocator as Usher's, so that neither has a handicap.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    if let Some(lock_ms) = cli.hold {
        return holder::hold(&cli.redis, lock_ms).await;
    }
    let measure = cli.measure.context("--measure is missing; see --help")?;
    let settings = Settings::read(&cli, measure)?;
    let limit = cli.limit(measure);
    timeout(limit, run(measure, &settings))
        .await
        .map_err(|_| anyhow!("\"{}\" was given up after {} s", settings.name, limit.as_secs()))?
}

async fn run(measure: Measure, settings: &Settings) -> Result<()> {
    match measure {
        Measure::Add => adding::add(settings).await,
        Measure::AddBulk => adding::add_bulk(settings).await,
        Measure::Process => processing::process_nothing(settings).await,
        Measure::ProcessPostgres => processing::process_postgres(settings, database::LEAST).await,
        Measure::ProcessReserve => processing::process_postgres(settings, database::SAME).await,
        Measure::Position => position::position(settings).await,
        Measure::PositionLpos => position::position_by_lpos(settings).await,
        Measure::Recovery => recovery::recovery(settings).await,
        Measure::Memory => memory::memory(settings).await,
    }
}
