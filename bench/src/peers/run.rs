//! One after the other: Usher, the peer in Node, the Rust port, on the same servers.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum as _;

use super::child::{Answer, Peer, Stores};
use super::compare::Line;
use super::lane::empty;
use super::measure::Measure;
use super::table;
use crate::lab::{Lab, LabOptions};
use crate::report::{print, say};

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub struct PeersArgs {
    /// Only this one; may be given several times
    #[arg(long)]
    only: Vec<Measure>,
    /// The folder of the peer in Node, in which `npm ci` was run
    #[arg(long, default_value = "bench/peers/bullmq")]
    node_peer: PathBuf,
    /// The program of the peer in Rust; left out where it is not built
    #[arg(long, default_value = "target/peers/release/bullmq-rust")]
    rust_peer: PathBuf,
    #[command(flatten)]
    lab: LabOptions,
}

/// Those beside whom Usher is measured.
struct Peers {
    stores: Stores,
    node: Peer,
    port: Option<Peer>,
}

/// Measures, prints, and tells whether every promise was kept.
pub async fn run(args: PeersArgs) -> Result<bool> {
    let node = Peer::in_node(&args.node_peer)?;
    let port = Peer::in_rust(&args.rust_peer);
    if port.is_none() {
        say(&format!("  the Rust port is left out: {} is not built", args.rust_peer.display()));
    }
    say("▸ starting a private PostgreSQL and Redis, durable as in earnest, and bringing 200,000 shoppers in");
    let lab = Lab::start(&args.lab).await?;
    let mut peers = Peers { stores: Stores::of(&lab)?, node, port };
    let mut lines = Vec::new();
    for measure in Measure::value_variants() {
        if !args.only.is_empty() && !args.only.contains(measure) {
            continue;
        }
        let started = Instant::now();
        say(&format!("▸ {}", measure.name()));
        lines.extend(peers.compare(&lab, *measure).await?);
        say(&format!("  {:.0} s", started.elapsed().as_secs_f64()));
    }
    let (bullmq, port) = peers.titles();
    print(&heading());
    print(&table::text(&lines, (bullmq.as_str(), port.as_deref())));
    Ok(lines.iter().all(Line::is_kept))
}

impl Peers {
    /// Measures Usher, then the peers; a peer that fails has an empty cell and a note.
    async fn compare(&mut self, lab: &Lab, measure: Measure) -> Result<Vec<Line>> {
        let usher = measure.of_usher(lab).await.map_err(|error| format!("{error:#}"));
        let mut lines = Vec::new();
        for comparison in measure.comparisons() {
            let mut bullmq: Answer = Err("was not asked".to_owned());
            let mut port = None;
            if usher.is_ok() {
                bullmq = ask(&mut self.node, lab, &self.stores, comparison.asks).await?;
                if let Some(peer) = self.port.as_mut().filter(|_| comparison.asks_port()) {
                    port = Some(ask(peer, lab, &self.stores, comparison.asks).await?);
                }
            }
            lines.push(comparison.line(&usher, &bullmq, port.as_ref()));
        }
        Ok(lines)
    }

    /// What their columns are called.
    fn titles(&self) -> (String, Option<String>) {
        let title = |name: &str, version: Option<&str>| {
            format!("{name} {}", version.unwrap_or("")).trim_end().to_owned()
        };
        let port = self.port.as_ref().map(|port| title("Rust port", port.version()));
        (title("BullMQ", self.node.version()), port)
    }
}

/// Has a peer measure, on an empty Redis, what it has not measured yet.
async fn ask(peer: &mut Peer, lab: &Lab, stores: &Stores, measure: &'static str) -> Result<Answer> {
    if peer.answer(measure).is_none() {
        empty(lab).await?;
        say(&format!("  {}: {measure}", peer.name));
        peer.ask(measure, stores).await;
    }
    Ok(peer.answer(measure).cloned().unwrap_or_else(|| Err("said nothing".to_owned())))
}

fn heading() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "\nOn {cores} cores that also run PostgreSQL (synchronous commit) and Redis (AOF everysec), one after the other.\n\
         The ratio is Usher's by the other's; of time and memory less is better.\n"
    )
}
