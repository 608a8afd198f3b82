//! Lanes as state machines: whatever happens to them, the scripts do what a small model says. Time passes where a step
//! says so: the end of a lease or of a rest is then put into the past.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rstest::rstest;
use shared::domain::{Envelope, EventId, Outcome, Refusal};
use shared::queue::claim::{Batch, Claim, ClaimedJob};
use shared::queue::control::{Controls, Pause};
use shared::queue::enqueue::Added;
use shared::queue::lease::{GiveBack, LeaseLost};
use shared::queue::settle::Decided;
use shared::queue::{Partition, Queue, QueueError};

use super::lane_model::{End, Expected, Lane, Member};
use super::lane_steps::{Step, steps};
use super::scripts::refuse_all;
use super::{LANE, QueueLab, Site, job, put_into_past};
use crate::lab::TestResult;

/// Two of one partition, and one of another, which lies on another server of a Cluster.
const LANES: [EventId; 3] = [LANE, EventId(15), EventId(8)];
/// Longer than any case takes.
const LONG: Duration = Duration::from_mins(10);

type Fallible<T> = Result<T, TestCaseError>;

/// The last number of each lane, over all cases: none is issued twice, whatever Redis has lost.
type LastNumbers = Cell<[u64; LANES.len()]>;

struct World<'a> {
    queue: &'a Queue,
    controls: Controls,
    lanes: [Lane; LANES.len()],
    last: &'a LastNumbers,
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn failed(error: QueueError) -> TestCaseError {
    fail(shared::telemetry::chain(&error))
}

fn envelope(owner: i64) -> Fallible<Envelope> {
    Ok(job(owner, 1).map_err(fail)?.envelope)
}

fn seen(jobs: &[ClaimedJob]) -> Vec<(u64, u32)> {
    jobs.iter().map(|job| (job.number, job.attempts)).collect()
}

impl<'a> World<'a> {
    async fn new(queue: &'a Queue, last: &'a LastNumbers) -> Fallible<Self> {
        let () = redis::cmd("FLUSHALL").query_async(&mut queue.connection()).await.map_err(fail)?;
        let lanes = std::array::from_fn(|_| Lane::default());
        let world = Self { queue, controls: Controls::default(), lanes, last };
        world.copy_controls().await?;
        Ok(world)
    }

    async fn copy_controls(&self) -> Fallible<()> {
        for event in LANES {
            self.queue.copy_controls(Partition::of(event), &self.controls).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn run(&mut self, nth: usize, step: Step) -> Fallible<()> {
        match step {
            Step::Add(owner) => self.add(nth, owner).await?,
            Step::Claim(most) => self.claim(nth, most).await?,
            Step::Extend(most) => self.extend(nth, most).await?,
            Step::Settle { ends, rests } => self.settle(nth, &ends, rests).await?,
            Step::GiveBack { rests, fails } => self.give_back(nth, rests, fails).await?,
            Step::Renew => self.renew(nth).await?,
            Step::LetTimePass => self.let_time_pass(nth).await?,
            Step::UseLeaseThatIsOver => self.use_lease_that_is_over(nth).await?,
            Step::Leave(at) => self.leave(nth, at).await?,
            Step::Recall => self.recall(nth).await?,
            Step::Forget(at) => self.forget(nth, at).await?,
            Step::Reenter => self.reenter(nth).await?,
            Step::Pause(paused) => {
                self.controls.lanes.insert(LANES[nth], Pause { paused, message: String::new() });
                self.pause().await?;
            }
            Step::PauseAll(paused) => {
                self.controls.queue.paused = paused;
                self.pause().await?;
            }
            Step::BeginEpoch => self.begin_epoch(nth).await?,
        }
        self.compare(nth).await
    }

    async fn add(&mut self, nth: usize, owner: i64) -> Fallible<()> {
        let new = job(owner, 1).map_err(fail)?;
        let added = self.queue.enqueue(LANES[nth], &[new]).await.map_err(failed)?;
        let Some(&[Added::Queued { number, place, is_new, .. }]) =
            added.as_ref().map(|added| added.jobs.as_slice())
        else {
            return Err(fail(format!("{added:?}")));
        };
        let lane = &mut self.lanes[nth];
        let known = lane.number_of(owner);
        prop_assert_eq!(is_new, known.is_none());
        if let Some(known) = known {
            prop_assert_eq!((number, place), (known, lane.place(known)));
            return Ok(());
        }
        let mut last = self.last.get();
        prop_assert!(number > last[nth], "{number} is not above {}", last[nth]);
        last[nth] = number;
        self.last.set(last);
        lane.waiting.insert(number, Member { owner, attempts: 0 });
        prop_assert_eq!(place, lane.place(number));
        Ok(())
    }

    async fn claim(&mut self, nth: usize, most: usize) -> Fallible<()> {
        let claimed = self.queue.claim(LANES[nth], "w", most).await.map_err(failed)?;
        let lane = &mut self.lanes[nth];
        match (claimed, lane.expect_claim(most)) {
            (Claim::Paused, Expected::Paused) | (Claim::NotBefore(_), Expected::NotYet) => {}
            (Claim::Empty, Expected::Empty) => {
                lane.end_lease(false);
            }
            (Claim::Batch(batch), Expected::Batch(jobs, was_stalled)) => {
                prop_assert_eq!((seen(&batch.jobs), batch.was_stalled), (jobs, was_stalled));
                prop_assert!(batch.lease.fence > lane.fence, "fences rise");
                lane.claimed(batch);
            }
            (other, expected) => return Err(fail(format!("{other:?} for {expected:?}"))),
        }
        Ok(())
    }

    async fn extend(&mut self, nth: usize, most: usize) -> Fallible<()> {
        let lane = &mut self.lanes[nth];
        let Some(last) = lane.held.as_ref().and_then(|held| held.batches.back()) else { return Ok(()) };
        let after = last.jobs.last().map_or(0, |job| job.number);
        let batch = self.queue.extend(&last.lease, after, most).await.map_err(failed)?;
        let got = batch.as_ref().map(|batch| seen(&batch.jobs)).unwrap_or_default();
        prop_assert_eq!(got, lane.expect_extension(after, most));
        if let Some(batch) = batch {
            lane.extended(batch);
        }
        Ok(())
    }

    async fn settle(&mut self, nth: usize, ends: &[End], rests: bool) -> Fallible<()> {
        let lane = &mut self.lanes[nth];
        let Some(held) = &lane.held else { return Ok(()) };
        let (batch, is_last) = (held.batches[0].clone(), held.batches.len() == 1);
        let ends: Vec<(u64, End)> =
            batch.jobs.iter().map(|job| job.number).zip(ends.iter().copied().cycle()).collect();
        let missing = ends.iter().find(|(_, end)| *end == End::Missing).map(|(number, _)| *number);
        let (rests, stuck) = (rests && is_last, missing.filter(|_| is_last));
        let endings = ends.iter().filter_map(|(number, end)| Some((*number, end.ending()?))).collect();
        let delay = if rests { LONG } else { Duration::ZERO };
        let decided = Decided { endings, stuck, delay, ..Decided::default() };
        lane.settled(&ends);
        lane.rests = rests;
        if let Some(number) = stuck {
            lane.tried(number);
        }
        for _ in 0..2 {
            let left = self.queue.settle(&batch, &decided, is_last).await.map_err(failed)?;
            prop_assert_eq!(left, Ok(lane.waiting.len() as u64), "told twice, it changes nothing");
        }
        Ok(())
    }

    async fn give_back(&mut self, nth: usize, rests: bool, fails: bool) -> Fallible<()> {
        let lane = &mut self.lanes[nth];
        let Some(held) = &lane.held else { return Ok(()) };
        let (lease, first) = (held.batches[0].lease.clone(), held.batches[0].jobs[0].number);
        let delay = if rests { LONG } else { Duration::ZERO };
        let how = GiveBack { delay, failed: fails.then_some(first), ..GiveBack::default() };
        let attempts = self.queue.give_back(&lease, &how).await.map_err(failed)?;
        prop_assert_eq!(attempts, Ok(if fails { lane.tried(first) } else { 0 }));
        lane.end_lease(false);
        lane.rests = rests;
        Ok(())
    }

    /// One that has run out lives again, as long as nobody else has the lane.
    async fn renew(&mut self, nth: usize) -> Fallible<()> {
        let Some(held) = &mut self.lanes[nth].held else { return Ok(()) };
        prop_assert_eq!(self.queue.renew(&held.batches[0].lease).await.map_err(failed)?, Ok(()));
        held.has_run_out = false;
        Ok(())
    }

    /// The end of a lease or a rest comes.
    async fn let_time_pass(&mut self, nth: usize) -> Fallible<()> {
        let (event, lane) = (LANES[nth], &mut self.lanes[nth]);
        let field = match &mut lane.held {
            Some(held) => {
                held.has_run_out = true;
                "lease_until"
            }
            None if lane.rests => "not_before",
            None => return Ok(()),
        };
        lane.rests = false;
        put_into_past(self.queue, event, field).await.map_err(fail)
    }

    /// Nobody changes anything under a lease that is over, whoever has the lane by now.
    async fn use_lease_that_is_over(&mut self, nth: usize) -> Fallible<()> {
        let lane = &self.lanes[nth];
        let Some(over) = &lane.over else { return Ok(()) };
        let Batch { lease, jobs, .. } = &over.batch;
        prop_assert_eq!(self.queue.renew(lease).await.map_err(failed)?, Err(LeaseLost));
        let back = GiveBack { delay: LONG, failed: Some(jobs[0].number), ..GiveBack::default() };
        prop_assert_eq!(self.queue.give_back(lease, &back).await.map_err(failed)?, Err(LeaseLost));
        let after = jobs.last().map_or(0, |job| job.number);
        prop_assert!(self.queue.extend(lease, after, 5).await.map_err(failed)?.is_none());
        let all = refuse_all(&over.batch);
        let expected = if over.was_settled { Ok(lane.waiting.len() as u64) } else { Err(LeaseLost) };
        prop_assert_eq!(self.queue.settle(&over.batch, &all, true).await.map_err(failed)?, expected);
        Ok(())
    }

    async fn leave(&mut self, nth: usize, at: usize) -> Fallible<()> {
        let lane = &mut self.lanes[nth];
        let live = lane.waiting.iter().chain(&lane.standby);
        let live: Vec<(u64, i64)> = live.map(|(number, member)| (*number, member.owner)).collect();
        let Some((number, owner)) = live.get(at % live.len().max(1)).copied() else { return Ok(()) };
        // The lane does not tell any more who of its head is at hand when others came back before them.
        if lane.is_at_hand(number) && lane.held.as_ref().is_some_and(|held| held.is_closed) {
            return Ok(());
        }
        let leaves = [(number, envelope(owner)?, Outcome::Failed(Refusal::Left))];
        for left in [1, 0] {
            prop_assert_eq!(self.queue.leave(LANES[nth], &leaves).await.map_err(failed)?, left);
        }
        lane.left(number);
        Ok(())
    }

    async fn recall(&mut self, nth: usize) -> Fallible<()> {
        let recalled = self.queue.recall_standby(LANES[nth], &mut None, 1).await.map_err(failed)?;
        prop_assert_eq!(recalled, self.lanes[nth].recalled());
        Ok(())
    }

    /// Redis loses one who waits, as a restart from an older state does.
    async fn forget(&mut self, nth: usize, at: usize) -> Fallible<()> {
        let (event, lane, keys) = (LANES[nth], &mut self.lanes[nth], self.queue.keys());
        let waiting: Vec<(u64, Member)> =
            lane.waiting.iter().map(|(number, member)| (*number, *member)).collect();
        let Some((number, member)) = waiting.get(at % waiting.len().max(1)).copied() else { return Ok(()) };
        if lane.is_at_hand(number) {
            return Ok(());
        }
        let redis = &mut self.queue.connection();
        let () = redis::cmd("ZREMRANGEBYSCORE")
            .arg(keys.wait(event))
            .arg(number)
            .arg(number)
            .query_async(redis)
            .await
            .map_err(fail)?;
        for (key, field) in
            [(keys.owners(event), member.owner.to_string()), (keys.attempts(event), number.to_string())]
        {
            let () = redis::cmd("HDEL").arg(key).arg(field).query_async(redis).await.map_err(fail)?;
        }
        lane.waiting.remove(&number);
        lane.forgotten.insert(number, member.owner);
        Ok(())
    }

    /// Who was lost comes back at their own numbers, unless they took another place; who is there is left alone.
    async fn reenter(&mut self, nth: usize) -> Fallible<()> {
        let lane = &mut self.lanes[nth];
        let mut back = BTreeMap::new();
        for (number, owner) in std::mem::take(&mut lane.forgotten) {
            if lane.number_of(owner).is_none() && back.values().all(|member: &Member| member.owner != owner) {
                back.insert(number, Member { owner, attempts: 0 });
            }
        }
        let there = lane.waiting.iter().take(1).chain(lane.standby.iter().take(1));
        let mut jobs = Vec::new();
        for (number, member) in there.chain(&back) {
            jobs.push((*number, envelope(member.owner)?));
        }
        for missing in [back.len() as u64, 0] {
            prop_assert_eq!(self.queue.reenter(LANES[nth], &jobs).await.map_err(failed)?, missing);
        }
        lane.came_back(back);
        Ok(())
    }

    async fn pause(&mut self) -> Fallible<()> {
        self.copy_controls().await?;
        for (event, lane) in LANES.iter().zip(&mut self.lanes) {
            let own = self.controls.lanes.get(event).is_some_and(|pause| pause.paused);
            lane.is_paused = own || self.controls.queue.paused;
        }
        Ok(())
    }

    /// Nothing is claimed in a new epoch before the pauses are known in it.
    async fn begin_epoch(&mut self, nth: usize) -> Fallible<()> {
        let at = Partition::of(LANES[nth]);
        let before = self.queue.partition_state(at).await.map_err(failed)?.epoch;
        let epoch = self.queue.begin_epoch(at, &before, 0).await.map_err(failed)?;
        prop_assert_ne!(&epoch, &before);
        prop_assert_eq!(&self.queue.begin_epoch(at, &before, 0).await.map_err(failed)?, &epoch);
        let claimed = self.queue.claim(LANES[nth], "w", 1).await.map_err(failed)?;
        prop_assert!(matches!(&claimed, Claim::NoControls(of) if *of == epoch), "{claimed:?}");
        self.copy_controls().await
    }

    /// What the lane shows is what the model says, and a worker finds it when a job may run.
    async fn compare(&self, nth: usize) -> Fallible<()> {
        let (event, lane) = (LANES[nth], &self.lanes[nth]);
        let state = self.queue.lane_state(event).await.map_err(failed)?;
        let active = lane.active();
        let counts = [active, lane.waiting.len() - active, lane.standby.len()].map(|count| count as u64);
        prop_assert_eq!([state.active, state.waiting, state.standby], counts);
        let ended = (state.completed, state.failed, state.stalled);
        prop_assert_eq!(ended, (lane.completed, lane.failed, lane.stalled));
        prop_assert_eq!(state.is_delayed, lane.rests);
        for (is_standby, line) in [(false, &lane.waiting), (true, &lane.standby)] {
            let page = self.queue.waiting_after(event, 0, 1_000, is_standby).await.map_err(failed)?;
            let numbers: Vec<u64> = page.into_iter().map(|(number, _)| number).collect();
            prop_assert_eq!(numbers, line.keys().copied().collect::<Vec<_>>());
        }
        if lane.may_run() {
            let due = self.queue.due_lanes(Partition::of(event), 10).await.map_err(failed)?;
            prop_assert!(due.contains(&event), "nobody would look at lane {event}");
        }
        Ok(())
    }
}

fn lanes_do_what_the_model_says(site: Site, cases: u32) -> TestResult {
    // A Cluster takes longer to start and to ask.
    let cases = if site == Site::Cluster { cases / 5 } else { cases };
    let runtime = tokio::runtime::Runtime::new()?;
    let lease = format!("--queue-lease-ms={}", LONG.as_millis());
    let lab = runtime.block_on(QueueLab::start(site, &[&lease]))?;
    let last = LastNumbers::default();
    let run = async |steps: Vec<(usize, Step)>| -> Fallible<()> {
        let mut world = World::new(&lab.queue, &last).await?;
        for (nth, step) in steps {
            world.run(nth, step).await?;
        }
        Ok(())
    };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&steps(LANES.len()), |steps| runtime.block_on(run(steps)))?;
    Ok(())
}

#[rstest]
fn a_lane_does_what_a_small_model_says(#[values(Site::Single, Site::Cluster)] site: Site) -> TestResult {
    lanes_do_what_the_model_says(site, 60)
}

#[rstest]
fn soak_a_lane_does_what_a_small_model_says_a_thousand_times(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    lanes_do_what_the_model_says(site, 1_000)
}
