//! Jobs in bulk, without HTTP, and waiting until they are decided.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use shared::domain::{BookingRequest, Envelope, EventId, UserId, Wanted};
use shared::queue::enqueue::{Added, AddedBatch, NewJob};
use shared::queue::{Partition, Queue};
use sqlx::PgPool;

use super::server::Server;
use super::{Event, Lab};

/// Jobs in one call.
const BATCH: usize = 500;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the first booking of an event may take: the worker reads its layout first, and after a start with an
/// empty Redis lanes rest for some seconds.
const FIRST_LIMIT: Duration = Duration::from_secs(30);

/// A request for some seats that Usher chooses.
pub fn best(quantity: u32) -> Result<BookingRequest> {
    Ok(BookingRequest::chosen(Wanted::Best {
        quantity,
        tier: None,
        section: None,
        adjacent: false,
        or_any: false,
    })?)
}

/// Adds jobs to a lane, in this order.
pub async fn enqueue(
    queue: &Queue,
    event: EventId,
    jobs: impl IntoIterator<Item = (UserId, BookingRequest)>,
) -> Result<u64> {
    let mut jobs = jobs.into_iter().map(|(owner, request)| NewJob {
        envelope: Envelope { owner, nonce: rand::random(), is_keyed: false, ip: None, request },
        idempotency: None,
    });
    let mut count = 0;
    loop {
        let batch: Vec<NewJob> = jobs.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(count);
        }
        let added = add(queue, event, &batch).await?;
        if let Some(other) = added.jobs.iter().find(|job| !matches!(job, Added::Queued { is_new: true, .. }))
        {
            bail!("a job was not added: {other:?}");
        }
        count += batch.len() as u64;
    }
}

async fn add(queue: &Queue, event: EventId, jobs: &[NewJob]) -> Result<AddedBatch> {
    // A partition without an epoch is new.
    for _ in 0..3 {
        if let Some(added) = queue.enqueue(event, jobs).await? {
            return Ok(added);
        }
        queue.begin_epoch(Partition::of(event), "", 0).await?;
    }
    bail!("the partition does not keep its epoch")
}

/// Waits until nobody waits in these lanes.
pub async fn wait_until_decided(queue: &Queue, events: &[EventId], limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    for &event in events {
        loop {
            let state = queue.lane_state(event).await?;
            if state.waiting + state.active == 0 {
                break;
            }
            if Instant::now() > deadline {
                bail!(
                    "{} jobs of event {event} are not decided after {limit:?} ({} active, paused: {})",
                    state.waiting,
                    state.active,
                    state.pause().paused
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Books one seat for the last of the shoppers, so that the worker knows the event: its layout is read with the
/// first booking, once, which is not what is measured.
pub async fn warm_up(lab: &Lab, usher: &Server, event: &Event) -> Result<()> {
    let token = lab.people.tokens.last().context("nobody is there")?;
    let url = format!("{}/api/bookings/{}/book", usher.target.url(), event.id);
    let request = lab.http.post(url).bearer_auth(token).json(&serde_json::json!({"quantity": 1}));
    let answer = request.send().await.context("make the first booking")?;
    if !answer.status().is_success() {
        bail!("the first booking was answered with {}: {}", answer.status(), answer.text().await?);
    }
    let deadline = Instant::now() + FIRST_LIMIT;
    while decided(&lab.pool, event.id).await? == 0 {
        if Instant::now() > deadline {
            bail!("the first booking is not decided after {FIRST_LIMIT:?}; usher says:\n  {}", usher.said());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// How many jobs of an event have their outcome.
pub async fn decided(pool: &PgPool, event: EventId) -> Result<u64> {
    let count: i64 = sqlx::query_scalar("select count(*) from job_outcomes where event_id = $1")
        .bind(event.0)
        .fetch_one(pool)
        .await?;
    Ok(count.unsigned_abs())
}
