//! The lanes of a named queue as state machines: rests, jobs for later, windows, leases at the same time, pauses. Whatever
//! is asked of them, in whatever order, the scripts do what a small model says.
//!
//! The clock is that of Redis. The model knows each moment at which something changes to within the call that set it,
//! and asks nothing close to one; a case in which a call took too long to tell is not counted.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::queue::claim::{Batch, Claim};
use shared::queue::control::{Controls, Pause, Rate};
use shared::queue::jobs::{Job, JobAdded, JobEnding, JobToAdd, lane, partition};
use shared::queue::lease::GiveBack;
use shared::queue::{Queue, QueueError};
use uuid::Uuid;

use super::{QueueLab, Site};
use crate::lab::TestResult;

const LANES: u16 = 2;
/// Nothing is asked so shortly before a moment at which something changes.
const CLEAR_MS: u64 = 20;
/// No lease runs out here.
const LEASE_MS: u64 = 60_000;
/// As `claim.lua` has it, for a lane that finds others at work.
const LOOK_AGAIN_MS: u64 = 100;

type Fallible<T> = Result<T, TestCaseError>;

#[derive(Debug, Clone)]
enum Step {
    Add { lane: u16, jobs: usize },
    AddAgain(usize),
    Schedule { lane: u16, in_ms: u64 },
    Claim { lane: u16, most: usize },
    Settle { lane: u16, endings: Vec<End> },
    GiveBack { lane: u16, rest_ms: u64 },
    Pause { lane: Option<u16>, paused: bool },
    Limit { lane: Option<u16>, rate: Option<Rate> },
    LanesAtOnce(Option<u32>),
    Wait(u64),
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Completed,
    Failed,
    Later(u64),
    /// Nothing is said of it, so it waits on.
    Missing,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        3 => Just(End::Completed),
        1 => Just(End::Failed),
        3 => (30u64..90).prop_map(End::Later),
        1 => Just(End::Missing),
    ];
    let rate =
        || proptest::option::of((1u32..5, 40u32..150).prop_map(|(max, window_ms)| Rate { max, window_ms }));
    let one = || 0..LANES;
    let one_or_all = || proptest::option::of(0..LANES);
    let step = prop_oneof![
        4 => (one(), 1usize..4).prop_map(|(lane, jobs)| Step::Add { lane, jobs }),
        1 => (0usize..50).prop_map(Step::AddAgain),
        2 => (one(), 30u64..120).prop_map(|(lane, in_ms)| Step::Schedule { lane, in_ms }),
        7 => (one(), 1usize..6).prop_map(|(lane, most)| Step::Claim { lane, most }),
        4 => (one(), proptest::collection::vec(end, 1..5))
            .prop_map(|(lane, endings)| Step::Settle { lane, endings }),
        2 => (one(), prop_oneof![Just(0u64), 30u64..90])
            .prop_map(|(lane, rest_ms)| Step::GiveBack { lane, rest_ms }),
        1 => (one_or_all(), any::<bool>()).prop_map(|(lane, paused)| Step::Pause { lane, paused }),
        2 => (one_or_all(), rate()).prop_map(|(lane, rate)| Step::Limit { lane, rate }),
        1 => proptest::option::of(1u32..3).prop_map(Step::LanesAtOnce),
        2 => (1u64..60).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..50)
}

/// Some time within these, both included, in ms of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    from: u64,
    to: u64,
}

impl Moment {
    fn plus(self, ms: u64) -> Self {
        Self { from: self.from + ms, to: self.to + ms }
    }
}

/// A limit and what is used up of its window.
#[derive(Debug, Default)]
struct Window {
    rate: Option<Rate>,
    /// When the last window began, and with which claim.
    began: Option<(Moment, u64)>,
    used: usize,
}

impl Window {
    fn end(&self) -> Option<Moment> {
        let (began, _) = self.began?;
        Some(began.plus(u64::from(self.rate?.window_ms)))
    }

    /// How many may be taken; when none, until when.
    fn room(&self, at: Moment) -> Result<usize, Moment> {
        let Some(rate) = self.rate else { return Ok(usize::MAX) };
        let max = usize::try_from(rate.max).unwrap_or(usize::MAX);
        match self.end() {
            Some(end) if end.to > at.from => {
                let left = max.saturating_sub(self.used);
                if left > 0 { Ok(left) } else { Err(end) }
            }
            _ => Ok(max),
        }
    }

    /// A window begins with the first that are taken in it.
    fn take(&mut self, count: usize, at: Moment, claim: u64) {
        if self.rate.is_none() {
            return;
        }
        if self.end().is_none_or(|end| end.to <= at.from) {
            (self.began, self.used) = (Some((at, claim)), 0);
        }
        self.used += count;
    }

    /// What was taken by this claim is given back undone.
    fn give_back(&mut self, count: usize, claim: u64) {
        if self.rate.is_some() && self.began.is_some_and(|(_, with)| with <= claim) {
            self.used -= count;
        }
    }
}

/// A job that is not in line yet, or not any more for a while.
#[derive(Debug, Clone)]
struct Delayed {
    due: Moment,
    /// The call that set it: of one call, the order is known exactly.
    call: u64,
    /// As it stands in Redis, where those due in the same millisecond are sorted by it.
    member: String,
    job: usize,
    /// Its place, which it has unless it was for later from the beginning.
    place: Option<u64>,
}

impl Delayed {
    fn is_before(&self, other: &Self) -> bool {
        let exact = |one: &Self| one.due.from == one.due.to;
        if self.call == other.call || (exact(self) && exact(other)) {
            (self.due.from, &self.member) < (other.due.from, &other.member)
        } else {
            self.due.to < other.due.from
        }
    }
}

#[derive(Default)]
struct Lane {
    /// Those that wait or are at hand, by their places.
    line: BTreeMap<u64, usize>,
    delayed: Vec<Delayed>,
    rests: Option<Moment>,
    window: Window,
    /// The batch, the places of its jobs, when it was taken, and by which claim.
    taken: Option<(Batch<Job>, Vec<u64>, Moment, u64)>,
    /// Numbers as they were seen, by place: they rise with the places.
    numbers: BTreeMap<u64, u64>,
}

/// What a claim must answer.
#[derive(Debug)]
enum Expected {
    Paused,
    Later(Moment),
    Empty,
    /// These places.
    Batch(Vec<u64>),
}

struct World {
    queue: Queue,
    controls: Controls,
    window: Window,
    lanes: Vec<Lane>,
    jobs: Vec<(u16, JobToAdd)>,
    attempts: Vec<u32>,
    ended: HashSet<Uuid>,
    /// Counts places, and calls.
    count: u64,
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn failed(error: QueueError) -> TestCaseError {
    fail(shared::telemetry::chain(&error))
}

impl World {
    async fn new(lab: &QueueLab) -> Fallible<Self> {
        let () = redis::cmd("FLUSHALL").query_async(&mut lab.queue.connection()).await.map_err(fail)?;
        let queue = lab.queue.named("mail");
        let controls = Controls::default();
        queue.copy_controls(partition(), &controls).await.map_err(failed)?;
        let lanes = (0..LANES).map(|_| Lane::default()).collect();
        let (window, jobs, attempts, ended) = (Window::default(), Vec::new(), Vec::new(), HashSet::new());
        Ok(Self { queue, controls, window, lanes, jobs, attempts, ended, count: 0 })
    }

    fn tick(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    async fn now(&self) -> Fallible<u64> {
        let time = redis::cmd("TIME").query_async(&mut self.queue.connection()).await;
        let (seconds, micros): (u64, u64) = time.map_err(fail)?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// All moments at which something changes.
    fn moments(&self) -> Vec<Moment> {
        let of_lane = |lane: &Lane| {
            let due = lane.delayed.iter().map(|delayed| delayed.due);
            due.chain(lane.rests).chain(lane.window.end()).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(of_lane).chain(self.window.end()).collect()
    }

    /// Waits until no such moment is near.
    async fn clear(&self) -> Fallible<u64> {
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
    async fn made(&self, from: u64) -> Fallible<Moment> {
        let to = self.now().await?;
        if self.moments().iter().any(|moment| moment.to > from && moment.from <= to) {
            return Err(TestCaseError::reject("a call took too long"));
        }
        Ok(Moment { from, to })
    }

    async fn run(&mut self, step: Step) -> Fallible<()> {
        match step {
            Step::Add { lane, jobs } => self.add(lane, jobs).await,
            Step::AddAgain(at) => self.add_again(at).await,
            Step::Schedule { lane, in_ms } => self.schedule(lane, in_ms).await,
            Step::Claim { lane, most } => self.claim(lane, most).await,
            Step::Settle { lane, endings } => self.settle(lane, &endings).await,
            Step::GiveBack { lane, rest_ms } => self.give_back(lane, rest_ms).await,
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
        prop_assert!(added.iter().all(|added| *added == JobAdded::Queued));
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

    /// What is due comes into the line, so many at most, those first that were due first.
    fn bring_back(&mut self, nth: u16, most: usize, at: Moment) -> Fallible<()> {
        let lane = &mut self.lanes[usize::from(nth)];
        let is_due = |delayed: &Delayed| delayed.due.to <= at.from;
        let (mut due, mut rest): (Vec<_>, Vec<_>) = lane.delayed.drain(..).partition(is_due);
        due.sort_by(|a, b| (a.due.from, &a.member).cmp(&(b.due.from, &b.member)));
        let later = due.split_off(most.min(due.len()));
        if !due.iter().all(|first| later.iter().all(|second| first.is_before(second))) {
            return Err(TestCaseError::reject("two jobs were due at the same time"));
        }
        rest.extend(later);
        lane.delayed = rest;
        for delayed in due {
            let place = delayed.place.unwrap_or_else(|| {
                self.count += 1;
                self.count
            });
            self.lanes[usize::from(nth)].line.insert(place, delayed.job);
        }
        Ok(())
    }

    fn is_paused(&self, nth: u16) -> bool {
        let own = self.controls.lanes.get(&lane(nth)).is_some_and(|pause| pause.paused);
        own || self.controls.queue.paused
    }

    /// What `claim.lua` does, in its order.
    fn expect(&mut self, nth: u16, most: usize, at: Moment) -> Fallible<Expected> {
        let claim = self.tick();
        if self.is_paused(nth) {
            return Ok(Expected::Paused);
        }
        let at_work = self.lanes.iter().filter(|lane| lane.taken.is_some()).count();
        let lane = &self.lanes[usize::from(nth)];
        if let Some((_, _, since, _)) = &lane.taken {
            return Ok(Expected::Later(since.plus(LEASE_MS)));
        }
        if let Some(rests) = lane.rests
            && rests.to > at.from
        {
            return Ok(Expected::Later(rests));
        }
        self.bring_back(nth, most, at)?;
        let lane = &mut self.lanes[usize::from(nth)];
        let (of_lane, of_queue) = (lane.window.room(at), self.window.room(at));
        let room = match (of_lane, of_queue) {
            (Err(until), _) | (_, Err(until)) => return Ok(Expected::Later(until)),
            (Ok(of_lane), Ok(of_queue)) => most.min(of_lane).min(of_queue),
        };
        let is_full = |most: u32| usize::try_from(most).is_ok_and(|most| at_work >= most);
        if self.controls.lanes_at_once.is_some_and(is_full) {
            return Ok(Expected::Later(at.plus(LOOK_AGAIN_MS)));
        }
        lane.rests = None;
        let places: Vec<u64> = lane.line.keys().copied().take(room).collect();
        if places.is_empty() {
            let from = lane.delayed.iter().map(|delayed| delayed.due.from).min();
            let to = lane.delayed.iter().map(|delayed| delayed.due.to).min();
            let next = from.zip(to).map(|(from, to)| Moment { from, to });
            return Ok(next.map_or(Expected::Empty, Expected::Later));
        }
        lane.window.take(places.len(), at, claim);
        self.window.take(places.len(), at, claim);
        Ok(Expected::Batch(places))
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
                let claim = self.count;
                self.lanes[usize::from(nth)].taken = Some((batch, places, at, claim));
            }
            (other, expected) => return Err(fail(format!("{other:?} for {expected:?}"))),
        }
        self.compare(nth).await
    }

    /// The jobs are those that stand at these places, under their own numbers, which no other job has or had.
    fn see(&mut self, nth: u16, batch: &Batch<Job>, places: &[u64]) -> Fallible<()> {
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
    async fn assert_looked_at(&self, nth: u16) -> Fallible<()> {
        let (now, of) = (self.now().await?, &self.lanes[usize::from(nth)]);
        let rests = of.rests.is_some_and(|rests| rests.to > now);
        let is_limited = of.window.rate.is_some() || self.window.rate.is_some();
        if of.line.is_empty() || of.taken.is_some() || rests || is_limited || self.is_paused(nth) {
            return Ok(());
        }
        let due = self.queue.due_lanes(partition(), 10).await.map_err(failed)?;
        prop_assert!(due.contains(&lane(nth)), "nobody would look at lane {nth}");
        Ok(())
    }

    /// How many wait and are at hand is what the model says.
    async fn compare(&self, nth: u16) -> Fallible<()> {
        let state = self.queue.lane_state(lane(nth)).await.map_err(failed)?;
        let lane = &self.lanes[usize::from(nth)];
        let active = lane.taken.as_ref().map_or(0, |(_, places, ..)| places.len());
        prop_assert_eq!((state.active, state.waiting), (active as u64, (lane.line.len() - active) as u64));
        self.assert_looked_at(nth).await
    }

    async fn settle(&mut self, nth: u16, endings: &[End]) -> Fallible<()> {
        let lane = &self.lanes[usize::from(nth)];
        let Some((batch, places, ..)) = lane.taken.clone() else { return Ok(()) };
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
        let lane = &mut self.lanes[usize::from(nth)];
        lane.taken = None;
        prop_assert_eq!(waiting, Ok(lane.line.len() as u64));
        self.compare(nth).await
    }

    async fn give_back(&mut self, nth: u16, rest_ms: u64) -> Fallible<()> {
        let lane = &mut self.lanes[usize::from(nth)];
        let Some((batch, places, _, claim)) = lane.taken.take() else { return Ok(()) };
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
            if let Some((batch, ..)) = self.lanes[usize::from(nth)].taken.take() {
                let given = self.queue.give_back(&batch.lease, &GiveBack::default()).await.map_err(failed)?;
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

fn lanes_do_what_the_model_says(cases: u32) -> TestResult {
    let runtime = tokio::runtime::Runtime::new()?;
    let lease = format!("--queue-lease-ms={LEASE_MS}");
    let lab = runtime.block_on(QueueLab::start(Site::Single, &[&lease]))?;
    let config =
        Config { cases, failure_persistence: None, max_global_rejects: cases * 50, ..Config::default() };
    TestRunner::new(config).run(&steps(), |steps| runtime.block_on(run(&lab, steps)))?;
    Ok(())
}

#[test]
fn lanes_of_a_named_queue_do_what_a_small_model_says() -> TestResult {
    lanes_do_what_the_model_says(60)
}

#[test]
fn soak_lanes_of_a_named_queue_do_what_a_small_model_says_a_thousand_times() -> TestResult {
    lanes_do_what_the_model_says(1_000)
}
