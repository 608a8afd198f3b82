//! Measuring one length after another.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::measure::measure;
use super::plot::Plot;
use super::table::{markdown, text};
use crate::report::{print, say, thousands};

/// As many as the queue takes in by default at most, in steps of ten.
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Options of the measurement.
#[derive(Debug, clap::Args)]
pub struct SizeArgs {
    /// How many jobs wait, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = SIZES)]
    #[arg(value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    sizes: Vec<u64>,
    /// Draw the costs into this file, too, as SVG
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Print Markdown in place of the table
    #[arg(long)]
    markdown: bool,
}

/// Measures every length, and prints.
pub async fn run(args: SizeArgs) -> Result<()> {
    let mut sizes = args.sizes;
    sizes.sort_unstable();
    sizes.dedup();
    let mut costs = Vec::with_capacity(sizes.len());
    for waiting in sizes {
        let started = Instant::now();
        say(&format!("▸ {} jobs wait in one lane, on a private Redis", thousands(waiting)));
        costs.push(measure(waiting).await?);
        say(&format!("  {:.0} s", started.elapsed().as_secs_f64()));
    }
    if args.markdown {
        print(&markdown(&costs));
    } else {
        print(&heading());
        print(&text(&costs));
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, Plot::of(&costs).svg()).with_context(|| format!("write {}", path.display()))?;
        say(&format!("▸ drawn into {}", path.display()));
    }
    Ok(())
}

fn heading() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "\nOne lane on {cores} cores that also run Redis (AOF everysec, a Unix socket). Medians, as the caller sees \
         them: the way to\nRedis and back is in all of them but the place from memory.\n"
    )
}
