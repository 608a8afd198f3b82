//! Measuring all of it, one after another.

use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;

use super::invariants::{self, Scope};
use super::row::{Row, table};
use super::{chain, enqueue, poll, push, reserve, sold_out, steady, sweep};
use crate::lab::{Lab, LabOptions};
use crate::report::{print, say};

/// Options of the figures.
#[derive(Debug, clap::Args)]
pub struct FiguresArgs {
    /// Only this one; may be given several times
    #[arg(long)]
    only: Vec<Figure>,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lab: LabOptions,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// Enqueues a second over HTTP, flat out
    Enqueue,
    /// 10,000 enqueues a second from 10,000 connections, and 10,000 at one instant
    Steady,
    /// Place polls a second, and what they cost the stores
    Poll,
    /// Seats a second through the whole path, beside PostgreSQL alone
    Reserve,
    /// 100,000 reservations that run out at the same moment
    Sweep,
    /// 10,000 bookings a second over HTTP for 100,000 seats
    Chain,
    /// 150,000 jobs for 100,000 seats
    SoldOut,
    /// One message to 10,000 sockets, and to 20,000 where so many files may be open
    Push,
}

impl Figure {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    async fn measure(self, lab: &Lab) -> Result<Vec<Row>> {
        match self {
            Self::Enqueue => enqueue::measure(lab).await,
            Self::Steady => steady::measure(lab).await,
            Self::Poll => poll::measure(lab).await,
            Self::Reserve => reserve::measure(lab).await,
            Self::Sweep => sweep::measure(lab).await,
            Self::Chain => chain::measure(lab).await,
            Self::SoldOut => sold_out::measure(lab).await,
            Self::Push => push::measure(lab).await,
        }
    }
}

/// Measures, prints, and tells whether every promise was kept.
pub async fn run(args: FiguresArgs) -> Result<bool> {
    say("▸ starting a private PostgreSQL and Redis, durable as in earnest, and bringing 200,000 shoppers in");
    let lab = Lab::start(&args.lab).await?;
    let mut rows = Vec::new();
    for figure in Figure::value_variants() {
        if !args.only.is_empty() && !args.only.contains(figure) {
            continue;
        }
        let started = Instant::now();
        say(&format!("▸ {}", figure.name()));
        match figure.measure(&lab).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => rows.push(Row::failed(figure.name(), format!("{error:#}"))),
        }
        say(&format!("  {:.0} s", started.elapsed().as_secs_f64()));
    }
    let broken = invariants::check(&lab.pool, Scope::Everything).await?;
    let is_kept = rows.iter().all(|row| row.is_ok) && broken.iter().all(|rule| rule.violations == 0);
    if args.json {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let all =
            serde_json::json!({"cores": cores, "figures": rows, "invariants": broken, "isKept": is_kept});
        print(&serde_json::to_string_pretty(&all)?);
    } else {
        print(&heading());
        print(&table(&rows));
        print("");
        print(&invariants::table(&broken));
    }
    Ok(is_kept)
}

fn heading() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "\nOn {cores} cores that also run PostgreSQL (synchronous commit), Redis (AOF everysec) and the load. \
         \"This machine\" is\nwhat it can do at all, measured in the same run. \
         Messages to shoppers are switched off: nobody is behind their addresses.\n"
    )
}
