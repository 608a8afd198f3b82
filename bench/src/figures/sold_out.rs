//! More jobs than seats: 150,000 for 100,000, a fifth of them after the same few.

use std::time::Duration;

use anyhow::{Context as _, Result};
use shared::domain::BookingRequest;
use sqlx::PgPool;

use super::row::{Quantity, Row, Target};
use crate::lab::jobs::{best, enqueue, wait_until_decided};
use crate::lab::{Event, Lab};

const SEATS: u32 = 100_000;
const JOBS: usize = 150_000;
/// Every so many-th job names a seat.
const NAMED: usize = 5;
/// The seats that they are after.
const FAVOURITES: usize = 1_000;
const DECIDED_LIMIT: Duration = Duration::from_mins(2);

/// Lets everybody in at once, and counts what each was told.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let event = Event::create(&lab.pool, "Sold out", SEATS).await?;
    let usher = lab.start_usher().await?;
    lab.pause(&usher, event.id).await?;
    let jobs: Result<Vec<_>> =
        (0..JOBS).map(|nth| Ok((lab.people.user(nth), request(&event, nth)?))).collect();
    enqueue(&lab.queue, event.id, jobs?).await?;
    lab.resume(&usher, event.id).await?;
    let started = std::time::Instant::now();
    wait_until_decided(&lab.queue, &[event.id], DECIDED_LIMIT).await?;
    let seconds = started.elapsed().as_secs_f64();
    usher.stop().await?;

    let outcomes = outcomes(&lab.pool, &event).await.context("count outcomes")?;
    let told: i64 = outcomes.iter().map(|(_, count)| count).sum();
    let (won, different) = won(&lab.pool, &event).await.context("count seats that were won")?;
    let parts: Vec<String> = outcomes.iter().map(|(code, count)| format!("{count} {code}")).collect();
    let exactly = |count: usize| Target::Exactly { count: Quantity::Count(count as u64) };
    let all = SEATS as usize;
    Ok(vec![
        Row::new(
            "150,000 jobs for 100,000 seats: outcomes",
            Quantity::Count(told.unsigned_abs()),
            None,
            exactly(JOBS),
        )
        .with_note(format!("{} in {seconds:.1} s", parts.join(", "))),
        Row::new("of those, seats won", Quantity::Count(won.unsigned_abs()), None, exactly(all)),
        Row::new(
            "of those, different seats won",
            Quantity::Count(different.unsigned_abs()),
            None,
            exactly(all),
        ),
        Row::new(
            "of those, seats held",
            Quantity::Count(event.claimed(&lab.pool).await?),
            None,
            exactly(all),
        ),
    ])
}

fn request(event: &Event, nth: usize) -> Result<BookingRequest> {
    if !nth.is_multiple_of(NAMED) {
        return best(1);
    }
    // Spread over the hall, so that some are still free when their turn comes.
    let favourite = (nth / NAMED) % FAVOURITES * (event.seats.len() / FAVOURITES);
    Ok(BookingRequest::named(vec![event.seats[favourite]], false)?)
}

/// How many jobs of an event ended in which way: `reserved`, or the code of their refusal.
pub(super) async fn outcomes(pool: &PgPool, event: &Event) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "select coalesce(code, 'reserved'), count(*) from job_outcomes where event_id = $1 group by 1 order by 2 desc",
    )
    .bind(event.id.0)
    .fetch_all(pool)
    .await
}

/// How many seats of an event jobs were told they won, and how many different ones these are.
pub(super) async fn won(pool: &PgPool, event: &Event) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "select count(*), count(distinct seat) from job_outcomes o
         cross join json_array_elements_text(o.result -> 's') as seat where o.event_id = $1",
    )
    .bind(event.id.0)
    .fetch_one(pool)
    .await
}
