//! Enqueues over HTTP, flat out.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::row::{Quantity, Row, Target};
use crate::lab::server::Server;
use crate::lab::{Event, Lab};
use crate::load::{Bookings, Pace, Plan, Tally, run};

const CONNECTIONS: usize = 1_000;
const TIME: Duration = Duration::from_secs(5);
const PROMISED: f64 = 0.35;

/// As many threads as cores: neither server nor load is to wait for the other's core.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Measures the rate of answers while everything else rests: the lane is paused.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let event = Event::create(&lab.pool, "Enqueues flat out", 1_000).await?;
    let (usher, bare) = (lab.start_usher().await?, lab.start_bare().await?);
    lab.pause(&usher, event.id).await?;
    let before = book(lab, &bare, &event).await?.as_limit()?;
    let measured = book(lab, &usher, &event).await?;
    let after = book(lab, &bare, &event).await?.as_limit()?;
    bare.stop().await?;
    usher.stop().await?;
    let limit = f64::midpoint(before.per_second(), after.per_second());
    let row = Row::new(
        "enqueue over HTTP / bare axum",
        Quantity::PerSecond(measured.per_second()),
        Some(Quantity::PerSecond(limit)),
        Target::RatioAtLeast { ratio: PROMISED },
    );
    let note = format!("{CONNECTIONS} connections, p99 {:.1} ms", measured.quantile_ms(0.99));
    Ok(vec![row.with_note(note).without_errors(measured.errors(), &measured.complaints())])
}

async fn book(lab: &Lab, server: &Server, event: &Event) -> Result<Tally> {
    let bookings = Bookings::new(&server.target.host, event.id.0, Arc::clone(&lab.people.tokens), 0);
    let plan = Plan {
        target: server.target.address,
        connections: CONNECTIONS,
        threads: threads(),
        pace: Pace::Flat(TIME),
        keep_bodies: false,
    };
    run(plan, Arc::new(bookings)).await
}
