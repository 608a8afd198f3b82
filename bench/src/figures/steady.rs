//! 10,000 enqueues a second from 10,000 open connections with workers running; and 10,000 at one instant.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::row::{Quantity, Row, Target};
use crate::lab::jobs::{decided, wait_until_decided, warm_up};
use crate::lab::server::Server;
use crate::lab::{Event, Lab};
use crate::load::{Bookings, Pace, Plan, Tally, run};

const CONNECTIONS: usize = 10_000;
const PER_SECOND: u32 = 10_000;
const TOTAL: u64 = 100_000;
const SEATS: u32 = 120_000;
const P99: Quantity = Quantity::Ms(15.0);
const BURST: Quantity = Quantity::Ms(600.0);
const DECIDED_LIMIT: Duration = Duration::from_mins(1);

/// Measures both, first the steady pace.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let event = Event::create(&lab.pool, "Enqueues at a steady pace", SEATS).await?;
    let (usher, bare) = (lab.start_usher().await?, lab.start_bare().await?);
    warm_up(lab, &usher, &event).await?;
    let pace = Pace::Steady { per_second: PER_SECOND, total: TOTAL };
    let steady_limit = book(lab, &bare, &event, pace, 0).await?.as_limit()?;
    let steady = book(lab, &usher, &event, pace, 0).await?;
    wait_until_decided(&lab.queue, &[event.id], DECIDED_LIMIT).await?;
    let burst_limit = book(lab, &bare, &event, Pace::Burst, 0).await?.as_limit()?;
    let next = usize::try_from(TOTAL)?;
    let burst = book(lab, &usher, &event, Pace::Burst, next).await?;
    wait_until_decided(&lab.queue, &[event.id], DECIDED_LIMIT).await?;
    let outcomes = decided(&lab.pool, event.id).await?;
    bare.stop().await?;
    usher.stop().await?;

    let acknowledged = steady.good() + burst.good() + 1;
    let paced = Row::new(
        "10,000 enqueues/s on 10,000 connections, p99",
        Quantity::Ms(steady.quantile_ms(0.99)),
        Some(Quantity::Ms(steady_limit.quantile_ms(0.99))),
        Target::AtMost { limit: P99 },
    );
    let at_once = Row::new(
        "10,000 enqueues at one instant, the last",
        Quantity::Ms(burst.last.as_secs_f64() * 1_000.0),
        Some(Quantity::Ms(burst_limit.last.as_secs_f64() * 1_000.0)),
        Target::AtMost { limit: BURST },
    );
    let kept = Row::new(
        "of those, acknowledged without an outcome",
        Quantity::Count(acknowledged.saturating_sub(outcomes)),
        None,
        Target::Exactly { count: Quantity::Count(0) },
    );
    Ok(vec![
        paced.with_note(quantiles(&steady)).without_errors(steady.errors(), &steady.complaints()),
        at_once.with_note(quantiles(&burst)).without_errors(burst.errors(), &burst.complaints()),
        kept,
    ])
}

fn quantiles(tally: &Tally) -> String {
    let [p50, p95, longest] = [0.5, 0.95, 1.0].map(|at| tally.quantile_ms(at));
    format!("p50 {p50:.1}, p95 {p95:.1}, longest {longest:.1} ms, no error")
}

async fn book(lab: &Lab, server: &Server, event: &Event, pace: Pace, first: usize) -> Result<Tally> {
    let bookings = Bookings::new(&server.target.host, event.id.0, Arc::clone(&lab.people.tokens), first);
    let plan = Plan {
        target: server.target.address,
        connections: CONNECTIONS,
        threads: 1,
        pace,
        keep_bodies: false,
    };
    run(plan, Arc::new(bookings)).await
}
