//! Place polls: jobs wait, and everybody asks where they stand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::enqueue::threads;
use super::row::{Quantity, Row, Target};
use crate::lab::server::Server;
use crate::lab::watch::Calls;
use crate::lab::{Event, Lab};
use crate::load::{Bookings, Pace, Plan, Polls, Tally, run};
use crate::report::float;

const JOBS: u64 = 10_000;
const CONNECTIONS: usize = 1_000;
/// Usher and the bare server take turns, each for so long: a machine that is now faster, now slower, is so to both.
const TURN: Duration = Duration::from_millis(1_250);
const TURNS: usize = 4;
const PROMISED: f64 = 0.8;
/// What the stores do by themselves varies by some calls a second; a call a poll would be 1.
const NO_CALL: Quantity = Quantity::Each(0.001);

/// A job, and whose token goes with it.
type Job = (String, usize);

/// Measures polls by reference alone and with the shopper's token, and what the stores had to do.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let event = Event::create(&lab.pool, "Place polls", 1_000).await?;
    let (usher, bare) = (lab.start_usher().await?, lab.start_bare().await?);
    lab.pause(&usher, event.id).await?;
    let jobs = enqueue(lab, &usher, &event).await?;
    lab.settle().await;
    let (mut by_reference, mut signed_in) = (Tally::default(), Tally::default());
    let mut limits = [Tally::default(), Tally::default()];
    let (mut by_itself, mut with_polls) = (Calls::default(), Calls::default());
    for _ in 0..TURNS {
        let (before, started) = (lab.calls().await?, Instant::now());
        by_reference.append(poll(lab, &usher, &jobs, false).await?);
        let (took, after) = (started.elapsed(), lab.calls().await?);
        with_polls.add(after.since(before));
        limits[0].append(poll(lab, &bare, &jobs, false).await?.as_limit()?);
        signed_in.append(poll(lab, &usher, &jobs, true).await?);
        limits[1].append(poll(lab, &bare, &jobs, true).await?.as_limit()?);
        // What the stores do while nobody asks, over as long a time.
        let before = lab.calls().await?;
        tokio::time::sleep(took).await;
        by_itself.add(lab.calls().await?.since(before));
    }
    bare.stop().await?;
    usher.stop().await?;

    let mut rows = Vec::new();
    let measured =
        [("place poll / bare axum", &by_reference), ("place poll, signed in / bare axum", &signed_in)];
    for ((name, tally), limit) in measured.into_iter().zip(&limits) {
        let row = Row::new(
            name,
            Quantity::PerSecond(tally.per_second()),
            Some(Quantity::PerSecond(limit.per_second())),
            Target::RatioAtLeast { ratio: PROMISED },
        );
        let note =
            format!("{JOBS} waiting, {CONNECTIONS} connections, p99 {:.1} ms", tally.quantile_ms(0.99));
        rows.push(row.with_note(note).without_errors(tally.errors(), &tally.complaints()));
    }
    let each = |calls: fn(Calls) -> u64| {
        float(calls(with_polls).saturating_sub(calls(by_itself))) / float(by_reference.good().max(1))
    };
    let row = |name, each| Row::new(name, Quantity::Each(each), None, Target::AtMost { limit: NO_CALL });
    let redis = row("Redis commands a poll", each(|calls| calls.redis));
    let postgres = row("PostgreSQL transactions a poll", each(|calls| calls.postgres));
    rows.push(redis.with_note(format!(
        "{} while {} polls ran, {} while none did",
        with_polls.redis,
        by_reference.good(),
        by_itself.redis
    )));
    rows.push(postgres.with_note(format!("{} and {}", with_polls.postgres, by_itself.postgres)));
    Ok(rows)
}

/// Fills the lane over HTTP, for the references.
async fn enqueue(lab: &Lab, usher: &Server, event: &Event) -> Result<Vec<Job>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Accepted {
        job_id: String,
    }
    let bookings = Bookings::new(&usher.target.host, event.id.0, Arc::clone(&lab.people.tokens), 0);
    let plan = Plan {
        target: usher.target.address,
        connections: 500,
        threads: 1,
        pace: Pace::Steady { per_second: 5_000, total: JOBS },
        keep_bodies: true,
    };
    let tally = run(plan, Arc::new(bookings)).await?;
    if tally.errors() > 0 {
        bail!("the lane could not be filled: {}", tally.complaints());
    }
    let read = |(index, body): &(u64, Box<[u8]>)| {
        let accepted: Accepted = serde_json::from_slice(body).context("an answer without a job")?;
        Ok((accepted.job_id, usize::try_from(*index)?))
    };
    tally.bodies.iter().map(read).collect()
}

async fn poll(lab: &Lab, server: &Server, jobs: &[Job], is_signed_in: bool) -> Result<Tally> {
    let tokens = &lab.people.tokens;
    let polls = jobs.iter().map(|(job, owner)| {
        let token = tokens.get(*owner).map(String::as_str);
        (job.as_str(), token.filter(|_| is_signed_in))
    });
    let plan = Plan {
        target: server.target.address,
        connections: CONNECTIONS,
        threads: threads(),
        pace: Pace::Flat(TURN),
        keep_bodies: false,
    };
    run(plan, Arc::new(Polls::new(&server.target.host, polls))).await
}
