//! The binary `bench`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use bench::{bare, crowd, figures, limits, peers, report, size};
use clap::{Parser, Subcommand};
use tikv_jemallocator::Jemalloc;

// The same allocator as Usher's, so that the bare server has no handicap.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Load on Usher: a crowd of shoppers, and figures beside this machine's own limits.
///
/// Sends to this machine only. Ends with code 1 when something was promised and not kept.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulated shoppers against the Usher that `make run` runs
    ///
    /// Ends with code 1 when a promise was broken or could not be looked at, when an answer was a 5xx that names no time
    /// to come again, when a job failed by itself, when more than one in a hundred calls failed for good or shoppers
    /// gave up, when nobody had an outcome, or when somebody had to be sent home.
    Crowd(crowd::CrowdArgs),
    /// The figures, on servers of their own, beside this machine's limits
    Figures(figures::FiguresArgs),
    /// The booking queue beside `BullMQ` and its Rust port, on servers of their own
    Peers(peers::PeersArgs),
    /// A bare axum server, the limit that the figures are held against
    Bare(bare::BareArgs),
    /// What the queue's calls cost with a thousand to a million waiting jobs, on a Redis of its own
    Size(size::SizeArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::say(&format!("✗ {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool> {
    limits::raise_open_files()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    // The main thread: children are told to end when the thread that started them does.
    runtime.block_on(async {
        tokio::select! {
            done = dispatch(command) => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}

async fn dispatch(command: Command) -> Result<bool> {
    match command {
        Command::Crowd(args) => crowd::run(args).await.map(|went| went.is_kept),
        Command::Figures(args) => figures::run(args).await,
        Command::Peers(args) => peers::run(args).await,
        Command::Bare(args) => bare::run(args).await.map(|()| true),
        Command::Size(args) => size::run(args).await.map(|()| true),
    }
}
