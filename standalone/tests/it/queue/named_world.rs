//! A named queue beside the model of its lanes: what it must answer, and when it may be asked.
//!
//! The clock is that of Redis. The model knows each moment at which something changes to within the call that set it,
//! and asks nothing close to one; a case in which a call took too long to tell is not counted.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use shared::queue::claim::Batch;
use shared::queue::control::Controls;
use shared::queue::jobs::{Job, JobEnding, JobToAdd, lane, partition};
use shared::queue::lease::{GiveBack, LeaseLost};
use shared::queue::{Queue, QueueError};
use uuid::Uuid;

use super::QueueLab;
use super::named_model::{Ask, Expected, Fallible, Lane, Moment, Window};

pub(super) const LANES: u16 = 2;
/// Nothing is asked so shortly before a moment at which something changes.
const CLEAR_MS: u64 = 20;

/// A named queue, and the model of its lanes.
pub(super) struct World {
    pub(super) queue: Queue,
    pub(super) controls: Controls,
    pub(super) window: Window,
    pub(super) lanes: Vec<Lane>,
    pub(super) jobs: Vec<(u16, JobToAdd)>,
    pub(super) attempts: Vec<u32>,
    pub(super) ended: HashSet<Uuid>,
    /// Counts places, and calls.
    pub(super) count: u64,
}

pub(super) fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

pub(super) fn failed(error: QueueError) -> TestCaseError {
    fail(shared::telemetry::chain(&error))
}

impl World {
    pub(super) async fn new(lab: &QueueLab) -> Fallible<Self> {
        let () = redis::cmd("FLUSHALL").query_async(&mut lab.queue.connection()).await.map_err(fail)?;
        let queue = lab.queue.named("mail");
        let controls = Controls::default();
        queue.copy_controls(partition(), &controls).await.map_err(failed)?;
        let lanes = (0..LANES).map(|_| Lane::default()).collect();
        let (window, jobs, attempts, ended) = (Window::default(), Vec::new(), Vec::new(), HashSet::new());
        Ok(Self { queue, controls, window, lanes, jobs, attempts, ended, count: 0 })
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(super) async fn now(&self) -> Fallible<u64> {
        let time = redis::cmd("TIME").query_async(&mut self.queue.connection()).await;
        let (seconds, micros): (u64, u64) = time.map_err(fail)?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// All moments at which something changes.
    pub(super) fn moments(&self) -> Vec<Moment> {
        let of_lane = |lane: &Lane| {
            let due = lane.delayed.iter().map(|delayed| delayed.due);
            due.chain(lane.rests).chain(lane.window.end()).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(of_lane).chain(self.window.end()).collect()
    }

    /// Waits until no such moment is near.
    pub(super) async fn clear(&self) -> Fallible<u64> {
        loop {
            let now = self.now().await?;
            let near = |moment: &Moment| moment.to > now && moment.from <= now + CLEAR_MS;
            let Some(until) = self.moments().into_iter().filter(near).map(|moment| moment.to).max() else {
                return Ok(now);
            };
            tokio::time::sleep(Duration::from_millis(until - now + 1)).await;
        }
    }

    /// When a call was made that began then; the case says nothing when something may have changed meanwhile.
    pub(super) async fn made(&self, from: u64) -> Fallible<Moment> {
        let to = self.now().await?;
        if self.moments().iter().any(|moment| moment.to > from && moment.from <= to) {
            return Err(TestCaseError::reject("a call took too long"));
        }
        Ok(Moment { from, to })
    }

    pub(super) fn is_paused(&self, nth: u16) -> bool {
        let own = self.controls.lanes.get(&lane(nth)).is_some_and(|pause| pause.paused);
        own || self.controls.queue.paused
    }

    pub(super) fn expect(&mut self, nth: u16, most: usize, at: Moment) -> Fallible<Expected> {
        let (claim, is_paused) = (self.tick(), self.is_paused(nth));
        let at_work = self.lanes.iter().filter(|lane| lane.is_leased()).count();
        let is_full = self
            .controls
            .lanes_at_once
            .is_some_and(|most| usize::try_from(most).is_ok_and(|most| at_work >= most));
        let (window, count) = (&mut self.window, &mut self.count);
        self.lanes[usize::from(nth)].expect(Ask { most, at, claim, is_paused, is_full, window, count })
    }

    /// Nobody changes anything under a lease that somebody else has by now.
    pub(super) async fn assert_over(&self, batch: &Batch<Job>) -> Fallible<()> {
        let all: Vec<_> = batch.jobs.iter().map(|job| (job.number, JobEnding::Completed)).collect();
        let settled = self.queue.settle_jobs(batch, &all, Duration::ZERO).await.map_err(failed)?;
        prop_assert_eq!(settled, Err(LeaseLost));
        let given = self.queue.give_back(&batch.lease, &GiveBack::default()).await.map_err(failed)?;
        prop_assert_eq!(given, Err(LeaseLost));
        prop_assert_eq!(self.queue.renew(&batch.lease).await.map_err(failed)?, Err(LeaseLost));
        Ok(())
    }

    /// The jobs are those that stand at these places, under their own numbers, which no other job has or had.
    pub(super) fn see(&mut self, nth: u16, batch: &Batch<Job>, places: &[u64]) -> Fallible<()> {
        prop_assert_eq!(batch.jobs.len(), places.len());
        let lane = &mut self.lanes[usize::from(nth)];
        for (job, place) in batch.jobs.iter().zip(places) {
            let known = lane.line[place];
            prop_assert_eq!(job.id, self.jobs[known].1.id);
            prop_assert_eq!(job.attempts, self.attempts[known]);
            let number = *lane.numbers.entry(*place).or_insert(job.number);
            prop_assert_eq!(number, job.number, "a job keeps its number");
            let before = lane.numbers.range(..*place).next_back();
            let after = lane.numbers.range(place + 1..).next();
            prop_assert!(before.is_none_or(|(_, before)| *before < number), "numbers rise with the places");
            prop_assert!(after.is_none_or(|(_, after)| *after > number), "numbers rise with the places");
        }
        Ok(())
    }

    /// A worker that heard nothing finds a lane in which a job may run, whatever else rests there.
    pub(super) async fn assert_looked_at(&self, nth: u16) -> Fallible<()> {
        let (now, of) = (self.now().await?, &self.lanes[usize::from(nth)]);
        let rests = of.rests.is_some_and(|rests| rests.to > now);
        let is_limited = of.window.rate.is_some() || self.window.rate.is_some();
        let is_idle = of.line.is_empty() && of.delayed.iter().all(|delayed| delayed.due.to > now);
        if is_idle || of.is_leased() || rests || is_limited || self.is_paused(nth) {
            return Ok(());
        }
        let due = self.queue.due_lanes(partition(), 10).await.map_err(failed)?;
        prop_assert!(due.contains(&lane(nth)), "nobody would look at lane {nth}");
        Ok(())
    }

    /// How many wait and are at hand is what the model says.
    pub(super) async fn compare(&self, nth: u16) -> Fallible<()> {
        let state = self.queue.lane_state(lane(nth)).await.map_err(failed)?;
        let lane = &self.lanes[usize::from(nth)];
        let active = lane.active();
        prop_assert_eq!((state.active, state.waiting), (active as u64, (lane.line.len() - active) as u64));
        prop_assert_eq!(state.stalled, lane.stalled);
        self.assert_places(nth).await?;
        self.assert_looked_at(nth).await
    }

    /// The place of each job of a lane that there ever was.
    async fn assert_places(&self, nth: u16) -> Fallible<()> {
        let of = &self.lanes[usize::from(nth)];
        let jobs = self.jobs.iter().enumerate().filter(|(_, (lane, _))| *lane == nth);
        let (known, ids): (Vec<usize>, Vec<Uuid>) = jobs.map(|(known, (_, job))| (known, job.id)).unzip();
        let numbers = self.queue.numbers(lane(nth), &ids).await.map_err(failed)?;
        let numbers: Vec<u64> = numbers.into_iter().map(Option::unwrap_or_default).collect();
        let in_line = |known: &usize| of.line.values().position(|job| job == known);
        let place = |at: usize| (at as u64 + 1).saturating_sub(of.active() as u64);
        let expected: Vec<Option<u64>> = known.iter().map(|known| in_line(known).map(place)).collect();
        prop_assert_eq!(self.queue.places(lane(nth), &numbers).await.map_err(failed)?, expected);
        Ok(())
    }
}
