//! Seats a second through the whole path: claim, allocate, lock, PostgreSQL, settle.

use std::time::Duration;

use anyhow::{Context as _, Result};
use shared::domain::EventId;
use sqlx::PgPool;
use sqlx::types::chrono::{DateTime, Utc};

use super::invariants::inversions;
use super::row::{Quantity, Row, Target};
use super::rows::write_all;
use crate::lab::jobs::{best, decided, enqueue, wait_until_decided, warm_up};
use crate::lab::server::Server;
use crate::lab::{Event, Lab};
use crate::report::float;

/// In all, of one event and likewise of two.
const JOBS: u32 = 100_000;
const PROMISED: f64 = 0.5;
const DECIDED_LIMIT: Duration = Duration::from_mins(2);

/// Measures one event and two at the same time with as many jobs together, in the order one, two, two, one: what a
/// growing table or a slow moment costs, it costs both.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let limit_event = Event::create(&lab.pool, "Rows alone", JOBS).await?;
    // One more than jobs: the first booking, by which the worker comes to know the event, takes a seat too.
    let first = [Event::create(&lab.pool, "Reservations of one event", JOBS / 2 + 1).await?];
    let last = [Event::create(&lab.pool, "Reservations of one event, again", JOBS / 2 + 1).await?];
    let mut pairs = Vec::new();
    for name in ["Reservations of two events", "Reservations of two events, again"] {
        let half = JOBS / 4 + 1;
        pairs
            .push([Event::create(&lab.pool, name, half).await?, Event::create(&lab.pool, name, half).await?]);
    }
    let usher = lab.start_usher().await?;
    let limit = write_all(&lab.pool, &lab.people.ids, &limit_event).await?;
    let mut alone = reserve(lab, &usher, &first).await?;
    let mut together = Reserved::default();
    for two in &pairs {
        together.add(&reserve(lab, &usher, two).await?);
    }
    alone.add(&reserve(lab, &usher, &last).await?);
    usher.stop().await?;

    let path = Row::new(
        "reserve, whole path / PostgreSQL alone",
        Quantity::PerSecond(alone.per_second()),
        Some(Quantity::PerSecond(limit)),
        Target::RatioAtLeast { ratio: PROMISED },
    );
    let sum = Row::new(
        "two events at once, in sum / one event",
        Quantity::PerSecond(together.per_second()),
        Some(Quantity::PerSecond(alone.per_second())),
        Target::RatioAbove { ratio: 1.0 },
    );
    let undone = (u64::from(JOBS) * 2).saturating_sub(alone.claimed + together.claimed);
    let nothing = Target::Exactly { count: Quantity::Count(0) };
    Ok(vec![
        path.with_note(alone.note()),
        sum.with_note(together.note()),
        Row::new("of those, jobs without their seat", Quantity::Count(undone), None, nothing),
        Row::new(
            "of those, out of order",
            Quantity::Count(alone.inversions + together.inversions),
            None,
            nothing,
        ),
    ])
}

/// What came of some lanes full of jobs.
#[derive(Default)]
pub(crate) struct Reserved {
    /// Those that were decided after the first batch,
    jobs: u64,
    /// and in which time, by PostgreSQL's clock.
    seconds: f64,
    batches: i64,
    /// Seats, without the first booking's.
    pub(crate) claimed: u64,
    /// Jobs decided after one that came later.
    pub(crate) inversions: u64,
}

impl Reserved {
    /// By PostgreSQL's clock, from the first batch to the last; 0 with only one.
    pub(crate) fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { float(self.jobs) / self.seconds } else { 0.0 }
    }

    /// What else there is to say.
    pub(crate) fn note(&self) -> String {
        format!("{} seats in {} transactions", self.claimed, self.batches)
    }

    /// Another run of the same.
    fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.seconds += other.seconds;
        self.batches += other.batches;
        self.claimed += other.claimed;
        self.inversions += other.inversions;
    }
}

/// Fills paused lanes with a job a seat, resumes them, and measures by PostgreSQL's clock.
pub(crate) async fn reserve(lab: &Lab, usher: &Server, events: &[Event]) -> Result<Reserved> {
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    for event in events {
        warm_up(lab, usher, event).await?;
        lab.pause(usher, event.id).await?;
        let wanted = event.seats.iter().skip(1).enumerate();
        let jobs: Result<Vec<_>> = wanted.map(|(nth, _)| Ok((lab.people.user(nth), best(1)?))).collect();
        enqueue(&lab.queue, event.id, jobs?).await?;
    }
    let (since, number): (DateTime<Utc>, i64) =
        sqlx::query_as("select clock_timestamp(), min(number) from job_outcomes where event_id = any($1)")
            .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .fetch_one(&lab.pool)
            .await?;
    lab.resume_all(usher, &ids).await?;
    wait_until_decided(&lab.queue, &ids, DECIDED_LIMIT).await?;
    let (jobs, seconds, batches) = pace(&lab.pool, &ids, since).await?;
    let mut claimed = 0;
    for event in events {
        // Without the first booking.
        claimed += event.claimed(&lab.pool).await?.min(decided(&lab.pool, event.id).await?).saturating_sub(1);
    }
    Ok(Reserved {
        jobs: jobs.unsigned_abs(),
        seconds,
        batches,
        claimed,
        inversions: inversions(&lab.pool, number).await?,
    })
}

/// Jobs decided after the first batch, in how many seconds, and how many batches there were.
pub(super) async fn pace(pool: &PgPool, events: &[EventId], since: DateTime<Utc>) -> Result<(i64, f64, i64)> {
    sqlx::query_as(include_str!("sql/pace.sql"))
        .bind(events.iter().map(|id| id.0).collect::<Vec<_>>())
        .bind(since)
        .fetch_one(pool)
        .await
        .context("read how fast jobs were decided")
}
