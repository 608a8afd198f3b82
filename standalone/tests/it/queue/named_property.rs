//! The lanes of a named queue as state machines: rests, jobs for later, windows, leases at the same time, pauses. Whatever
//! is asked of them, in whatever order, the scripts do what a small model says.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use shared::queue::claim::Claim;
use shared::queue::control::{Controls, Pause};
use shared::queue::inspect::Finished;
use shared::queue::jobs::{Job, JobAdded, JobEnding, JobToAdd, lane, partition};
use shared::queue::lease::GiveBack;
use shared::queue::take_out::Ended;
use uuid::Uuid;

use super::named_model::{Delayed, Expected, Fallible, LEASE_MS, Moment, Taken};
use super::named_steps::{End, Step, steps};
use super::named_world::{LANES, World, fail, failed};
use super::{QueueLab, Site, put_into_past};
use crate::lab::TestResult;

/// So many are kept of those that were completed, and of those that failed.
const KEPT: [usize; 2] = [50, 100];

impl World {
    async fn run(&mut self, step: Step) -> Fallible<()> {
        match step {
            Step::Add { lane, jobs } => self.add(lane, jobs).await,
            Step::AddAgain(at) => self.add_again(at).await,
            Step::Schedule { lane, in_ms } => self.schedule(lane, in_ms).await,
            Step::Claim { lane, most } => self.claim(lane, most).await,
            Step::Settle { lane, endings } => self.settle(lane, &endings).await,
            Step::GiveBack { lane, rest_ms } => self.give_back(lane, rest_ms).await,
            Step::LetLeaseRunOut(nth) => self.let_lease_run_out(nth).await,
            Step::Promote(at) => self.promote(at).await,
            Step::TakeOut(at) => self.take_out(at).await,
            Step::Clean { lane, which, limit } => self.clean(lane, which, limit).await,
            Step::Pause { lane: nth, paused } => {
                let pause = Pause { paused, message: String::new() };
                match nth {
                    Some(nth) => {
                        self.controls.lanes.insert(lane(nth), pause);
                    }
                    None => self.controls.queue = pause,
                }
                self.copy_controls().await
            }
            // What was taken before a limit was set is none of its affair, so nobody has anything at hand here.
            Step::Limit { .. } if self.lanes.iter().any(|lane| lane.taken.is_some()) => Ok(()),
            Step::Limit { lane: nth, rate } => {
                match (nth, rate) {
                    (Some(nth), Some(rate)) => {
                        self.controls.lane_rates.insert(lane(nth), rate);
                    }
                    (Some(nth), None) => {
                        self.controls.lane_rates.remove(&lane(nth));
                    }
                    (None, rate) => self.controls.rate = rate,
                }
                match nth {
                    Some(nth) => self.lanes[usize::from(nth)].window.rate = rate,
                    None => self.window.rate = rate,
                }
                self.copy_controls().await
            }
            Step::LanesAtOnce(most) => {
                self.controls.lanes_at_once = most;
                self.copy_controls().await
            }
            Step::Wait(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
        }
    }

    async fn copy_controls(&self) -> Fallible<()> {
        self.queue.copy_controls(partition(), &self.controls).await.map_err(failed)?;
        Ok(())
    }

    fn new_job(&mut self, lane: u16, run_at_ms: Option<i64>) -> JobToAdd {
        let job = JobToAdd { id: Uuid::now_v7(), payload: b"{}".to_vec(), run_at_ms };
        self.jobs.push((lane, job.clone()));
        self.attempts.push(0);
        job
    }

    async fn send(&self, nth: u16, jobs: &[JobToAdd]) -> Fallible<()> {
        let added = self.queue.add_jobs(lane(nth), jobs).await.map_err(failed)?;
        let added = added.ok_or_else(|| fail("no epoch"))?;
        prop_assert!(added.iter().all(|added| matches!(added, JobAdded::Queued(_))));
        Ok(())
    }

    async fn add(&mut self, nth: u16, jobs: usize) -> Fallible<()> {
        let new: Vec<JobToAdd> = (0..jobs).map(|_| self.new_job(nth, None)).collect();
        self.send(nth, &new).await?;
        for job in self.jobs.len() - jobs..self.jobs.len() {
            let place = self.tick();
            self.lanes[usize::from(nth)].line.insert(place, job);
        }
        self.assert_looked_at(nth).await
    }

    /// A job that is known changes nothing, whatever has become of it.
    async fn add_again(&mut self, at: usize) -> Fallible<()> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let (lane, job) = self.jobs[at % self.jobs.len()].clone();
        self.send(lane, &[job]).await
    }

    async fn schedule(&mut self, nth: u16, in_ms: u64) -> Fallible<()> {
        let at = self.now().await? + in_ms;
        let new = self.new_job(nth, Some(i64::try_from(at).map_err(fail)?));
        self.send(nth, std::slice::from_ref(&new)).await?;
        let (due, member) = (Moment { from: at, to: at }, format!("s{}", new.id.simple()));
        let (call, job) = (self.tick(), self.jobs.len() - 1);
        self.lanes[usize::from(nth)].delayed.push(Delayed { due, call, member, job, place: None });
        Ok(())
    }

    async fn let_lease_run_out(&mut self, nth: u16) -> Fallible<()> {
        let Some(taken) = &mut self.lanes[usize::from(nth)].taken else { return Ok(()) };
        taken.has_run_out = true;
        put_into_past(&self.queue, lane(nth), "lease_until").await.map_err(fail)?;
        self.compare(nth).await
    }

    /// A job that rests comes back to its place with the next claim, one that is for later waits from now on; any other is
    /// left alone.
    async fn promote(&mut self, at: usize) -> Fallible<()> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let known = at % self.jobs.len();
        let (nth, job) = self.jobs[known].clone();
        let of = &self.lanes[usize::from(nth)];
        let delayed = of.delayed.iter().position(|delayed| delayed.job == known);
        let in_line = of.line.iter().find(|(_, job)| **job == known).map(|(place, _)| *place);
        let place = delayed.map_or(in_line, |at| of.delayed[at].place);
        let number = place.and_then(|place| of.numbers.get(&place)).copied();
        let from = self.clear().await?;
        let promoted = self.queue.promote(lane(nth), &job, number).await.map_err(failed)?;
        let at = self.made(from).await?;
        prop_assert_eq!(promoted, delayed.is_some());
        let (call, of) = (self.tick(), &mut self.lanes[usize::from(nth)]);
        match delayed {
            Some(index) if place.is_none() => {
                of.delayed.remove(index);
                of.line.insert(call, known);
            }
            Some(index) if of.delayed[index].due.from > at.to => {
                (of.delayed[index].due, of.delayed[index].call) = (at, call);
            }
            Some(_) | None => {}
        }
        self.compare(nth).await
    }

    /// A job that waits, rests or is for later is gone; one that is at hand is left alone.
    async fn take_out(&mut self, at: usize) -> Fallible<()> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let known = at % self.jobs.len();
        let (nth, id) = (self.jobs[known].0, self.jobs[known].1.id);
        let of = &self.lanes[usize::from(nth)];
        let in_line = of.line.iter().find(|(_, job)| **job == known).map(|(place, _)| *place);
        let is_in = |taken: &&Taken| in_line.is_some_and(|place| taken.places.contains(&place));
        let at_hand = of.taken.as_ref().filter(is_in).map(|taken| taken.has_run_out);
        // The model lets a worker whose lease has run out say how its jobs ended, as long as nobody else has them.
        if at_hand == Some(true) {
            return Ok(());
        }
        let is_there = in_line.is_some() || of.delayed.iter().any(|delayed| delayed.job == known);
        let jobs = self.queue.jobs_in(lane(nth), 1_000).await.map_err(failed)?;
        let removed = |(id, member)| Ended { member, id, status: "removed".to_owned() };
        let found: Vec<Ended> = jobs.into_iter().filter(|(of, _)| *of == id).map(removed).collect();
        prop_assert_eq!(found.len(), usize::from(is_there));
        let taken = self.queue.take_out(lane(nth), &found).await.map_err(failed)?;
        prop_assert_eq!(taken, u64::from(is_there && at_hand.is_none()));
        if taken == 1 {
            let of = &mut self.lanes[usize::from(nth)];
            of.line.retain(|_, job| *job != known);
            of.delayed.retain(|delayed| delayed.job != known);
            self.ended.insert(id);
        }
        self.compare(nth).await
    }

    async fn clean(&mut self, nth: u16, which: Finished, limit: usize) -> Fallible<()> {
        let kept = &mut self.lanes[usize::from(nth)].kept[usize::from(which == Finished::Failed)];
        let cleaned = self.queue.clean(lane(nth), which, Duration::ZERO, limit).await.map_err(failed)?;
        prop_assert_eq!(cleaned, limit.min(*kept) as u64);
        *kept -= limit.min(*kept);
        Ok(())
    }

    async fn claim(&mut self, nth: u16, most: usize) -> Fallible<()> {
        let from = self.clear().await?;
        let claimed = self.queue.claim_as::<Job>(lane(nth), "w", most).await.map_err(failed)?;
        let at = self.made(from).await?;
        match (claimed, self.expect(nth, most, at)?) {
            (Claim::Paused, Expected::Paused) | (Claim::Empty, Expected::Empty) => {}
            (Claim::NotBefore(until), Expected::Later(moment)) => {
                prop_assert!((moment.from..=moment.to).contains(&until), "{until} for {moment:?}");
            }
            (Claim::Batch(batch), Expected::Batch(places)) => {
                self.see(nth, &batch, &places)?;
                let lane = &mut self.lanes[usize::from(nth)];
                prop_assert_eq!(batch.was_stalled, lane.taken.is_some());
                let (claim, has_run_out) = (self.count, false);
                let taken = Taken { batch, places, since: at, claim, has_run_out };
                if let Some(over) = lane.taken.replace(taken) {
                    lane.stalled += 1;
                    self.assert_over(&over.batch).await?;
                }
            }
            (other, expected) => return Err(fail(format!("{other:?} for {expected:?}"))),
        }
        self.compare(nth).await
    }

    async fn settle(&mut self, nth: u16, endings: &[End]) -> Fallible<()> {
        let lane = &mut self.lanes[usize::from(nth)];
        let Some(Taken { batch, places, .. }) = lane.taken.take() else { return Ok(()) };
        let mut told = Vec::new();
        for (place, end) in places.iter().zip(endings.iter().cycle()) {
            let number = lane.numbers[place];
            match end {
                End::Completed => told.push((number, JobEnding::Completed)),
                End::Failed => told.push((number, JobEnding::Failed("it cannot be done".to_owned()))),
                End::Later(ms) => {
                    let rest = Duration::from_millis(*ms);
                    told.push((number, JobEnding::Later(rest, "not now".to_owned())));
                }
                End::Missing => {}
            }
        }
        let from = self.now().await?;
        let waiting = self.queue.settle_jobs(&batch, &told, Duration::ZERO).await.map_err(failed)?;
        let at = Moment { from, to: self.now().await? };
        let call = self.tick();
        for (place, end) in places.iter().zip(endings.iter().cycle()) {
            let lane = &mut self.lanes[usize::from(nth)];
            let job = lane.line[place];
            match end {
                End::Completed | End::Failed => {
                    lane.line.remove(place);
                    let is_failed = usize::from(matches!(end, End::Failed));
                    lane.kept[is_failed] = KEPT[is_failed].min(lane.kept[is_failed] + 1);
                    prop_assert!(self.ended.insert(self.jobs[job].1.id), "a job ends once");
                }
                End::Later(ms) => {
                    lane.line.remove(place);
                    let (due, member) = (at.plus(*ms), lane.numbers[place].to_string());
                    lane.delayed.push(Delayed { due, call, member, job, place: Some(*place) });
                    self.attempts[job] += 1;
                }
                End::Missing => {}
            }
        }
        let lane = &self.lanes[usize::from(nth)];
        prop_assert_eq!(waiting, Ok(lane.line.len() as u64));
        self.compare(nth).await
    }

    async fn give_back(&mut self, nth: u16, rest_ms: u64) -> Fallible<()> {
        let lane = &mut self.lanes[usize::from(nth)];
        let Some(Taken { batch, places, claim, .. }) = lane.taken.take() else { return Ok(()) };
        let from = self.now().await?;
        let how = GiveBack { delay: Duration::from_millis(rest_ms), ..GiveBack::default() };
        prop_assert!(self.queue.give_back(&batch.lease, &how).await.map_err(failed)?.is_ok());
        let at = Moment { from, to: self.now().await? };
        let lane = &mut self.lanes[usize::from(nth)];
        lane.rests = (rest_ms > 0).then(|| at.plus(rest_ms));
        lane.window.give_back(places.len(), claim);
        self.window.give_back(places.len(), claim);
        self.compare(nth).await
    }

    /// Limits and pauses are lifted, leases given back; then every job comes to its end when only those lanes are claimed
    /// that a worker would look at.
    async fn finish(&mut self) -> Fallible<()> {
        self.controls = Controls::default();
        self.copy_controls().await?;
        for nth in 0..LANES {
            if let Some(taken) = self.lanes[usize::from(nth)].taken.take() {
                let given =
                    self.queue.give_back(&taken.batch.lease, &GiveBack::default()).await.map_err(failed)?;
                prop_assert!(given.is_ok());
            }
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.ended.len() < self.jobs.len() {
            prop_assert!(Instant::now() < deadline, "{} of {} ended", self.ended.len(), self.jobs.len());
            for of in self.queue.due_lanes(partition(), 10).await.map_err(failed)? {
                if let Claim::Batch(batch) = self.queue.claim_as::<Job>(of, "w", 5).await.map_err(failed)? {
                    let all: Vec<_> =
                        batch.jobs.iter().map(|job| (job.number, JobEnding::Completed)).collect();
                    let settled =
                        self.queue.settle_jobs(&batch, &all, Duration::ZERO).await.map_err(failed)?;
                    prop_assert!(settled.is_ok());
                    for job in &batch.jobs {
                        prop_assert!(self.ended.insert(job.id), "a job ends once");
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let known: HashSet<Uuid> = self.jobs.iter().map(|(_, job)| job.id).collect();
        prop_assert_eq!(&self.ended, &known);
        for nth in 0..LANES {
            let state = self.queue.lane_state(lane(nth)).await.map_err(failed)?;
            prop_assert_eq!(state.active + state.waiting, 0);
        }
        Ok(())
    }
}

async fn run(lab: &QueueLab, steps: Vec<Step>) -> Fallible<()> {
    let mut world = World::new(lab).await?;
    for step in steps {
        world.run(step).await?;
    }
    world.finish().await
}

fn lanes_do_what_the_model_says(site: Site, cases: u32) -> TestResult {
    // A Cluster takes longer to start and to ask.
    let cases = if site == Site::Cluster { cases / 5 } else { cases };
    let runtime = tokio::runtime::Runtime::new()?;
    let lease = format!("--queue-lease-ms={LEASE_MS}");
    let lab = runtime.block_on(QueueLab::start(site, &[&lease]))?;
    let config =
        Config { cases, failure_persistence: None, max_global_rejects: cases * 50, ..Config::default() };
    TestRunner::new(config).run(&steps(LANES), |steps| runtime.block_on(run(&lab, steps)))?;
    Ok(())
}

#[rstest]
fn lanes_of_a_named_queue_do_what_a_small_model_says(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    lanes_do_what_the_model_says(site, 60)
}

#[rstest]
fn soak_lanes_of_a_named_queue_do_what_a_small_model_says_a_thousand_times(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    lanes_do_what_the_model_says(site, 1_000)
}
