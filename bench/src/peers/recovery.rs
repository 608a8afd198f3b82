//! How long a job whose worker was lost waits until another worker has it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::domain::EventId;
use shared::queue::claim::Claim;

use super::measure::Measured;
use crate::figures::Quantity;
use crate::lab::jobs::{best, enqueue, wait_until_decided, warm_up};
use crate::lab::server::Server;
use crate::lab::{Event, Lab};

/// As many as the peers have.
const LOSSES: u32 = 8;
const SEATS: u32 = 10;
const LOST: &str = "lost";
/// A worker renews its lease so often while the lease runs.
const RENEWALS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(10);
const DECIDED_LIMIT: Duration = Duration::from_mins(1);

/// A job that somebody took and never spoke of again.
struct Loss {
    event: EventId,
    at: Instant,
}

/// Takes a job of each of some lanes, so that Usher's worker has to wait for the leases' ends; the median.
pub(super) async fn measure(lab: &Lab) -> Result<Measured> {
    let mut events = Vec::new();
    for nth in 1..=LOSSES {
        events.push(Event::create(&lab.pool, &format!("A worker is lost, {nth}"), SEATS).await?);
    }
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    let usher = lab.start_usher().await?;
    for event in &events {
        warm_up(lab, &usher, event).await?;
    }
    wait_until_decided(&lab.queue, &ids, DECIDED_LIMIT).await?;
    let losses = lose(lab, &usher, &ids).await?;
    let mut seconds = wait_until_taken(lab, &losses).await?;
    wait_until_decided(&lab.queue, &ids, DECIDED_LIMIT).await?;
    usher.stop().await?;

    seconds.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (seconds.first(), seconds.last()) else { bail!("nothing was lost") };
    let lease = lab.queue.config().lease().as_secs_f64();
    let note = format!("{LOSSES} losses under a lease of {lease:.0} s, {least:.1} to {most:.1} s");
    Ok(Measured::new(Quantity::Ms(median(&seconds) * 1_000.0)).with_note(note))
}

fn median(sorted: &[f64]) -> f64 {
    let last = sorted.len().saturating_sub(1);
    f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)])
}

/// Takes a job of each lane while Usher is frozen, which would be there first.
async fn lose(lab: &Lab, usher: &Server, events: &[EventId]) -> Result<Vec<Loss>> {
    let pid = Pid::from_raw(usher.pid().cast_signed());
    kill(pid, Signal::SIGSTOP).context("freeze usher")?;
    let taken = take(lab, events).await;
    kill(pid, Signal::SIGCONT).context("let usher go on")?;
    taken
}

/// The worker is lost somewhere between two renewals of its lease, in each lane somewhere else.
async fn take(lab: &Lab, events: &[EventId]) -> Result<Vec<Loss>> {
    let between = lab.queue.config().lease() / RENEWALS;
    let mut losses = Vec::new();
    for (nth, &event) in (0u32..).zip(events) {
        enqueue(&lab.queue, event, [(lab.people.user(nth as usize), best(1)?)]).await?;
        let claim = lab.queue.claim(event, LOST, 1).await?;
        if !matches!(claim, Claim::Batch(_)) {
            bail!("a job could not be taken: {claim:?}");
        }
        losses.push(Loss { event, at: Instant::now() + between * nth / LOSSES });
    }
    Ok(losses)
}

/// For each loss after how many seconds somebody else had the lane.
async fn wait_until_taken(lab: &Lab, losses: &[Loss]) -> Result<Vec<f64>> {
    let deadline = Instant::now() + lab.queue.config().lease() * 3;
    let mut open: Vec<&Loss> = losses.iter().collect();
    let mut seconds = Vec::new();
    while !open.is_empty() {
        if Instant::now() > deadline {
            bail!("{} of {} jobs did not come back", open.len(), losses.len());
        }
        let mut still_open = Vec::new();
        for loss in open {
            let lease = lab.queue.lane_state(loss.event).await?.lease;
            if lease.is_some_and(|lease| lease.worker == LOST) {
                still_open.push(loss);
            } else {
                seconds.push(loss.at.elapsed().as_secs_f64());
            }
        }
        open = still_open;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(seconds)
}
