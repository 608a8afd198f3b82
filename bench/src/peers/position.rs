//! Places told a second: from memory, as a gateway has them.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use shared::queue::board::{JobState, LaneBoard};
use shared::queue::feed::Change;

use super::lane::Lane;
use super::measure::Measured;
use crate::figures::Quantity;
use crate::lab::Lab;
use crate::report::float;

const WAITING: u32 = 100_000;
const TIME: Duration = Duration::from_secs(3);
/// Questions between two looks at the clock.
const ROUND: u32 = 1_000;
/// How long the next entry of a feed is waited for.
const NEXT_ENTRY: Duration = Duration::from_secs(5);

/// Fills a lane, follows its feed, and asks for random jobs' places, one after the other; each answer is held against
/// the truth.
pub(super) async fn measure(lab: &Lab) -> Result<Measured> {
    let lane = Lane::open(lab).await?;
    let start = lane.queue.feed_end(lane.partition()).await?;
    lane.fill(0..WAITING).await?;
    let (board, numbers) = follow(&lane, start).await?;
    // Behind a lock, as in a gateway.
    let board = RwLock::new(board);
    let started = Instant::now();
    let mut asked = 0u64;
    while started.elapsed() < TIME {
        for _ in 0..ROUND {
            ask(&board, &numbers)?;
        }
        asked += u64::from(ROUND);
    }
    let per_second = float(asked) / started.elapsed().as_secs_f64();
    Ok(Measured::new(Quantity::PerSecond(per_second)).with_note("from memory, without any call"))
}

/// What the feed tells of the lane, and the numbers of its jobs in order.
async fn follow(lane: &Lane, mut after: String) -> Result<(LaneBoard, Vec<u64>)> {
    let mut connection = lane.queue.blocking_connection(NEXT_ENTRY).await?;
    let mut board = LaneBoard::new(lane.event);
    let mut numbers = Vec::new();
    while board.waiting() < u64::from(WAITING) {
        let entries = lane.queue.read_feed(&mut connection, lane.partition(), &after, NEXT_ENTRY).await?;
        ensure!(!entries.is_empty(), "the feed tells of {} jobs instead of {WAITING}", board.waiting());
        for entry in entries {
            if let Change::Added { first, count, .. } = &entry.change {
                numbers.extend(*first..*first + *count);
            }
            board.apply(&entry.change, 0);
            after = entry.id;
        }
    }
    ensure!(numbers.len() as u64 == u64::from(WAITING), "the feed tells of {} jobs", numbers.len());
    Ok((board, numbers))
}

fn ask(board: &RwLock<LaneBoard>, numbers: &[u64]) -> Result<()> {
    let nth = rand::random_range(0..numbers.len());
    let state = board.read().unwrap_or_else(PoisonError::into_inner).state(numbers[nth]);
    let JobState::Waiting { place, .. } = state else { bail!("a job that waits is told as {state:?}") };
    ensure!(place == nth as u64 + 1, "place {place} was told instead of {}", nth + 1);
    Ok(())
}
