//! Each call many times on a lane of one length.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use shared::domain::{Outcome, Refusal, UserId};
use shared::queue::Queue;
use shared::queue::board::{JobState, LaneBoard};
use shared::queue::feed::{Change, Done};

use super::costs::Costs;
use super::line::{LANE, Line};
use super::site::Site;
use crate::report::float;

/// How often each call is made; the median is told.
const REPEATS: usize = 200;
/// Jobs in a call that adds, and in a batch.
const BATCH: usize = 100;
/// Places told in one go: a single one takes less time than a clock can tell.
const LOOKS: usize = 500;
/// Seconds of which a board remembers the pace.
const PACE_S: u64 = 60;
/// Until what came while the lane was filled is on the disk.
const REST: Duration = Duration::from_secs(3);

/// Fills a lane until so many wait, and measures.
pub(super) async fn measure(waiting: u64) -> Result<Costs> {
    let site = Site::start(waiting).await?;
    let empty = site.bytes().await?;
    let mut line = Line::new(&site.queue)?;
    line.fill(usize::try_from(waiting)?).await?;
    tokio::time::sleep(REST).await;
    let bytes = (site.bytes().await? - empty) / float(waiting);

    let ping = ping(&site.queue).await?;
    let board = board(&line.numbers);
    let place = place(&board, behind(&line)?);
    let rank = rank(&line, &board).await?;
    let leave = leave(&mut line).await?;
    let (decide, enqueue) = go_on(&mut line).await?;
    let state = site.queue.lane_state(LANE).await?;
    if (state.waiting, state.active) != (waiting, 0) {
        bail!("{} wait and {} are active at the end, not {waiting} and 0", state.waiting, state.active);
    }
    Ok(Costs { waiting, enqueue, decide, place, rank, leave, ping, bytes })
}

/// What a gateway knows of the lane in a rush: who waits, that a worker has the first batch, and the pace.
fn board(numbers: &[u64]) -> LaneBoard {
    let mut board = LaneBoard::new(LANE);
    for number in numbers {
        board.load(*number, &[], false);
    }
    for second in 1..=PACE_S {
        let mut done = Done::default();
        // A number that nobody has any more: real ones are microseconds since 1970.
        done.push(second, UserId(1), &Outcome::Failed(Refusal::SoldOut));
        board.apply(&Change::Done(done), second);
    }
    if let Some(upto) = numbers.get(BATCH - 1) {
        board.apply(&Change::Claimed(*upto), PACE_S);
    }
    board
}

/// Those who wait behind the first batch.
fn behind(line: &Line) -> Result<&[u64]> {
    line.numbers.get(BATCH..).filter(|behind| behind.len() >= LOOKS).context("too few wait")
}

/// So many of these numbers, each once, from all over the lane.
fn pick(numbers: &[u64], count: usize) -> Vec<u64> {
    let places = rand::seq::index::sample(&mut rand::rng(), numbers.len(), count);
    places.iter().map(|at| numbers[at]).collect()
}

/// To tell one place.
fn place(board: &LaneBoard, numbers: &[u64]) -> f64 {
    let looks = (0..REPEATS).map(|_| {
        let picked = pick(numbers, LOOKS);
        let started = Instant::now();
        for number in &picked {
            black_box(board.state(black_box(*number)));
        }
        micros(started.elapsed()) / float(LOOKS as u64)
    });
    median(looks.collect())
}

/// To ask Redis for one place, which must be the one on the board.
async fn rank(line: &Line, board: &LaneBoard) -> Result<f64> {
    let mut costs = Vec::with_capacity(REPEATS);
    for number in pick(behind(line)?, REPEATS) {
        let (ahead, took) = line.rank(number).await?;
        // On the board, the first batch does not wait any more.
        let by_redis = ahead + 1 - BATCH as u64;
        let state = board.state(number);
        if !matches!(state, JobState::Waiting { place, .. } if place == by_redis) {
            bail!("job {number} is at place {by_redis} by Redis, and the board says {state:?}");
        }
        costs.push(micros(took));
    }
    Ok(median(costs))
}

/// To leave; for everybody who does, somebody else comes.
async fn leave(line: &mut Line) -> Result<f64> {
    let leaving = pick(behind(line)?, REPEATS);
    let mut costs = Vec::with_capacity(REPEATS);
    for number in leaving {
        costs.push(micros(line.leave(number).await?));
        line.add(1).await?;
    }
    Ok(median(costs))
}

/// To decide one job of a batch, and to add one of a call; as many come as go.
async fn go_on(line: &mut Line) -> Result<(f64, f64)> {
    let each = |took| micros(took) / float(BATCH as u64);
    let (mut decide, mut enqueue) = (Vec::with_capacity(REPEATS), Vec::with_capacity(REPEATS));
    for _ in 0..REPEATS {
        decide.push(each(line.decide(BATCH).await?));
        let (_, took) = line.add(BATCH).await?;
        enqueue.push(each(took));
    }
    Ok((median(decide), median(enqueue)))
}

/// To Redis and back.
async fn ping(queue: &Queue) -> Result<f64> {
    let mut costs = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let started = Instant::now();
        queue.ping().await?;
        costs.push(micros(started.elapsed()));
    }
    Ok(median(costs))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The one in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_one_in_the_middle() {
        let near = |value: f64, other: f64| (value - other).abs() < 1e-9;
        assert!(near(median(vec![9.0, 1.0, 1_000.0]), 9.0));
        assert!(near(median(Vec::new()), 0.0));
        assert!(near(micros(Duration::from_nanos(1_500)), 1.5));
    }

    #[test]
    fn board_has_a_batch_at_work_and_counts_behind_it() {
        let numbers: Vec<u64> = (1_000..2_000).collect();
        let board = board(&numbers);
        assert_eq!(board.state(1_000 + BATCH as u64 - 1), JobState::Processing);
        assert!(matches!(
            board.state(1_000 + BATCH as u64),
            JobState::Waiting { place: 1, waiting: 900, .. }
        ));
    }

    #[test]
    fn nobody_is_picked_twice() {
        let numbers: Vec<u64> = (0..1_000).collect();
        let mut picked = pick(&numbers, 900);
        picked.sort_unstable();
        picked.dedup();
        assert_eq!(picked.len(), 900);
    }
}
