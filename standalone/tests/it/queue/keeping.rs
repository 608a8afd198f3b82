//! What is kept is bounded: two days of load go through a Redis whose clock runs fast, and the second needs no more
//! memory than the first.
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else is answered fails the test")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use shared::domain::{BookingId, EventId, Outcome, Refusal, Reservation, SeatId};
use shared::queue::claim::{Batch, Claim};
use shared::queue::control::Controls;
use shared::queue::enqueue::{Added, NewJob};
use shared::queue::feed::SeatsChanged;
use shared::queue::jobs::{Job, JobAdded, JobEnding, JobToAdd, lane, partition};
use shared::queue::lock::Locked;
use shared::queue::settle::{Decided, Ending};
use shared::queue::{Partition, Queue};
use standalone::settings::Settings;
use uuid::Uuid;

use super::job;
use crate::lab::{TestResult, start_fast_redis};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// So many times as fast as ours runs the clock of Redis: two of its days are ten minutes.
const TIMES: u64 = 288;
/// Keys are kept for half a day to a day, and history for a day; so the first day fills them, and the second shows.
const MINUTES: u64 = 2 * 24 * 60;
const SAMPLE_EVERY: u64 = 30;
const MINUTE_MS: u64 = 60_000;

/// Events on sale at the same time.
const SHOWS: u64 = 24;
/// Minutes that each is on sale; when one ends, another one begins.
const LIFE: u64 = 360;
/// Minutes after its end at which its lane is tidied; the sweeper takes two days, which would tidy none here.
const TIDIED_AFTER: u64 = 120;
/// Requests a minute for each event.
const BOOKINGS: usize = 10;
/// How long a reservation is shown.
const HOLD_MS: i64 = 10 * 60_000;

const QUEUES: [&str; 3] = ["mail", "refunds", "tickets"];
const LANES: u16 = 4;
/// Jobs a minute for each lane of a named queue.
const JOBS: usize = 13;
const PAYLOAD: &[u8] =
    br#"{"to":{"id":123456},"message":{"kind":"order_paid","order":"0190163d-8694-739b-aea5-966c26f8ad91"}}"#;

/// After so long a job is added once more: its key is kept for half a day at least.
const AGAIN_AFTER_MS: i64 = 10 * 3_600_000;
/// The load may lag behind the clock of Redis by so much, while this machine has other things to do.
const MOST_LAG_MS: u64 = 100 * MINUTE_MS;

/// Jobs in a batch at most: more than come in a minute, with those that come back.
const BATCH: usize = 60;

struct Sample {
    minute: u64,
    memory: u64,
    keys: u64,
    added: u64,
    waiting: u64,
}

/// What goes on, and what came of it so far.
struct Load {
    queue: Queue,
    named: Vec<Queue>,
    shopper: i64,
    seat: i64,
    /// Lanes of events that are over, by the minute at which they are tidied.
    over: VecDeque<(u64, EventId)>,
    /// Jobs that are added once more, by the time (ms) at which.
    known: VecDeque<(i64, JobToAdd)>,
    added: u64,
    ended: u64,
    tidied: u64,
}

/// The event that is on sale in a slot, each slot beginning a quarter of an hour after the one before.
fn show(minute: u64, slot: u64) -> Fallible<EventId> {
    let nth = (minute + LIFE - slot * 15) / LIFE;
    Ok(EventId(i64::try_from(nth * SHOWS + slot + 1)?))
}

impl Load {
    /// All that happens in one minute.
    async fn minute(&mut self, minute: u64, now_ms: i64) -> TestResult {
        for slot in 0..SHOWS {
            let event = show(minute, slot)?;
            if minute > 0 {
                let before = show(minute - 1, slot)?;
                if before != event {
                    self.end(before).await?;
                    self.over.push_back((minute + TIDIED_AFTER, before));
                }
            }
            self.sell(event, now_ms).await?;
        }
        for queue in self.named.clone() {
            for nth in 0..LANES {
                self.post(&queue, lane(nth), now_ms).await?;
            }
        }
        self.add_again(now_ms).await?;
        while let Some((at, event)) = self.over.front().copied()
            && at <= minute
        {
            self.over.pop_front();
            assert!(self.queue.obliterate(event).await?, "somebody is left in the lane of event {event}");
            self.tidied += 1;
        }
        Ok(())
    }

    /// Requests of a minute, a fifth of them with an idempotency key; then all who wait are decided.
    async fn sell(&mut self, event: EventId, now_ms: i64) -> TestResult {
        let mut jobs = Vec::new();
        for nth in 0..BOOKINGS {
            self.shopper += 1;
            let mut job = job(self.shopper, 1)?;
            if nth.is_multiple_of(5) {
                job.envelope.is_keyed = true;
                job.idempotency = Some(NewJob::idempotency_of(&job.envelope, "key"));
            }
            jobs.push(job);
        }
        let added = self.queue.enqueue(event, &jobs).await?.ok_or("an epoch")?;
        let is_new = |added: &&Added| matches!(added, Added::Queued { is_new: true, .. });
        assert_eq!(added.jobs.iter().filter(is_new).count(), BOOKINGS);
        self.added += BOOKINGS as u64;
        self.decide(event, now_ms).await?;
        let again = self.queue.enqueue(event, &jobs[..1]).await?.ok_or("an epoch")?;
        assert!(matches!(again.jobs[0], Added::Queued { is_new: false, .. }), "the same key is the same job");
        Ok(())
    }

    /// Six of ten get a seat, two nothing, one stands by, and one waits on; a seat comes back, which calls those who
    /// stand by.
    async fn decide(&mut self, event: EventId, now_ms: i64) -> TestResult {
        let batch = match self.queue.claim(event, "w", BATCH).await? {
            Claim::Batch(batch) => batch,
            other => return Err(format!("{other:?}").into()),
        };
        let mut decided = Decided { now_ms, took: Duration::from_millis(5), ..Decided::default() };
        let (mut locks, mut back) = (Vec::new(), Vec::new());
        for (nth, job) in batch.jobs.iter().enumerate() {
            let ending = match nth % 10 {
                0..=5 => {
                    self.seat += 1;
                    let seat = SeatId(self.seat);
                    locks.push(vec![self.queue.keys().seat_lock(event, seat)]);
                    back = vec![seat];
                    let expires_at_ms = now_ms + HOLD_MS;
                    let (booking, seats, slots) = (BookingId::new(), vec![seat], Vec::new());
                    let won = Reservation { booking, seats, slots, expires_at_ms };
                    Ending::Decided(Outcome::Completed(won))
                }
                6 | 7 => Ending::Decided(Outcome::Failed(Refusal::SoldOut)),
                8 => Ending::StandsBy,
                _ => continue,
            };
            self.ended += u64::from(ending != Ending::StandsBy);
            decided.endings.insert(job.number, ending);
        }
        assert_eq!(self.queue.lock(&batch.lease, &locks).await?, Locked::Except(Vec::new()));
        decided.locks = locks.concat();
        self.queue.settle(&batch, &decided, true).await??;
        self.queue.announce_seats(event, &SeatsChanged { seats: back, ..SeatsChanged::default() }).await?;
        Ok(())
    }

    /// An event is over: whoever is still in its lane leaves.
    async fn end(&mut self, event: EventId) -> TestResult {
        for is_standby in [true, false] {
            let there = self.queue.waiting_after(event, 0, 10_000, is_standby).await?;
            let mut left = Vec::new();
            for (number, envelope) in there {
                left.push((number, envelope.ok_or("a request")?, Outcome::Failed(Refusal::Left)));
            }
            self.ended += self.queue.leave(event, &left).await?;
        }
        Ok(())
    }

    /// Jobs of a minute for a lane of a named queue, one of them for half an hour later.
    async fn post(&mut self, queue: &Queue, of: EventId, now_ms: i64) -> TestResult {
        let later = now_ms + 30 * 60_000;
        let jobs: Vec<JobToAdd> = (0..JOBS)
            .map(|nth| JobToAdd {
                id: Uuid::now_v7(),
                payload: PAYLOAD.to_vec(),
                run_at_ms: (nth == 0).then_some(later),
            })
            .collect();
        let added = queue.add_jobs(of, &jobs).await?.ok_or("an epoch")?;
        assert!(added.iter().all(|added| matches!(added, JobAdded::Queued(_))));
        self.added += JOBS as u64;
        self.work(queue, of).await
    }

    /// A new job, and those that were new ten hours ago: they are known, or they would be run twice.
    async fn add_again(&mut self, now_ms: i64) -> TestResult {
        let new = JobToAdd { id: Uuid::now_v7(), payload: PAYLOAD.to_vec(), run_at_ms: None };
        let mut jobs = vec![new.clone()];
        self.known.push_back((now_ms + AGAIN_AFTER_MS, new));
        while self.known.front().is_some_and(|(at, _)| *at <= now_ms) {
            jobs.extend(self.known.pop_front().map(|(_, job)| job));
        }
        self.named[0].add_jobs(lane(0), &jobs).await?.ok_or("an epoch")?;
        self.added += 1;
        Ok(())
    }

    /// Runs what is due: one of thirteen rests for five minutes, one of forty fails.
    async fn work(&mut self, queue: &Queue, of: EventId) -> TestResult {
        let batch: Batch<Job> = match queue.claim_as(of, "w", BATCH).await? {
            Claim::Batch(batch) => batch,
            Claim::Empty | Claim::NotBefore(_) => return Ok(()),
            other => return Err(format!("{other:?}").into()),
        };
        let ending = |job: &Job| match job.number % 40 {
            0..=2 => JobEnding::Later(Duration::from_mins(5), "mail server is away".to_owned()),
            3 => JobEnding::Failed("no such address".to_owned()),
            _ => JobEnding::Completed,
        };
        let endings: Vec<(u64, JobEnding)> = batch
            .jobs
            .iter()
            .map(|job| (job.number, if job.attempts < 2 { ending(job) } else { JobEnding::Completed }))
            .collect();
        queue.settle_jobs(&batch, &endings, Duration::from_millis(5)).await??;
        let is_end = |(_, ending): &&(u64, JobEnding)| !matches!(ending, JobEnding::Later(..));
        self.ended += endings.iter().filter(is_end).count() as u64;
        Ok(())
    }

    /// The events that are left end, and what rests or is due later is run.
    async fn finish(&mut self, last: u64) -> TestResult {
        for slot in 0..SHOWS {
            self.end(show(last, slot)?).await?;
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.ended < self.added {
            assert!(Instant::now() < deadline, "{} of {} jobs have ended", self.ended, self.added);
            for queue in self.named.clone() {
                for nth in 0..LANES {
                    self.work(&queue, lane(nth)).await?;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.ended, self.added, "each job ends once");
        Ok(())
    }

    async fn sample(&self, minute: u64) -> Fallible<Sample> {
        let mut redis = self.queue.connection();
        let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query_async(&mut redis).await?;
        let keys = redis::cmd("DBSIZE").query_async(&mut redis).await?;
        let memory = info.get("used_memory").ok_or("used_memory")?;
        Ok(Sample { minute, memory, keys, added: self.added, waiting: self.added.saturating_sub(self.ended) })
    }
}

async fn redis_ms(queue: &Queue) -> Fallible<u64> {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut queue.connection()).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}

/// The clock of Redis runs as fast as it was told.
async fn assert_fast(queue: &Queue) -> TestResult {
    let (from, since) = (redis_ms(queue).await?, Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (to, passed) = (redis_ms(queue).await?, u64::try_from(since.elapsed().as_millis())?);
    let times = (to - from) / passed;
    assert!((TIMES * 9 / 10..=TIMES * 11 / 10).contains(&times), "Redis' clock runs {times} times as fast");
    Ok(())
}

fn print(samples: &[Sample]) {
    eprintln!("{:>6} {:>12} {:>8} {:>10} {:>8}", "hour", "used_memory", "keys", "jobs", "waiting");
    for one in samples {
        let (hour, half) = (one.minute / 60, if one.minute.is_multiple_of(60) { ":00" } else { ":30" });
        eprintln!("{hour:>3}{half} {:>12} {:>8} {:>10} {:>8}", one.memory, one.keys, one.added, one.waiting);
    }
}

/// What is held at most in the second half is hardly more than in the first.
fn assert_bounded(what: &str, samples: &[Sample], of: fn(&Sample) -> u64) {
    let (first, second) = samples.split_at(samples.len() / 2);
    let most = |half: &[Sample]| half.iter().map(of).max().unwrap_or(0);
    let (first, second) = (most(first), most(second));
    assert!(
        first > 0 && second * 10 <= first * 12,
        "{what}: {first} on the first day, {second} on the second"
    );
    eprintln!("{what}: {first} at most on the first day, {second} on the second");
}

#[tokio::test]
async fn soak_keeping_needs_no_more_memory_on_the_second_day() -> TestResult {
    let dir = tempfile::tempdir()?;
    let server = start_fast_redis(&dir.path().join("redis"), TIMES).await?;
    let url = format!("--redis-url={}", server.url());
    // Ten minutes of Redis are two seconds of ours.
    let words = ["--queue-recover-ms=0", "--queue-lease-ms=600000", url.as_str()];
    let queue = Queue::connect(&Settings::from_words(words)?.queue).await?;
    assert_fast(&queue).await?;
    for partition in Partition::all() {
        queue.copy_controls(partition, &Controls::default()).await?;
    }
    let named: Vec<Queue> = QUEUES.iter().map(|name| queue.named(name)).collect();
    for queue in &named {
        queue.copy_controls(partition(), &Controls::default()).await?;
    }
    let (over, known) = (VecDeque::new(), VecDeque::new());
    let (shopper, seat, added, ended, tidied) = (0, 0, 0, 0, 0);
    let mut load = Load { queue: queue.clone(), named, shopper, seat, over, known, added, ended, tidied };
    let begun_ms = redis_ms(&queue).await?;
    let mut samples = Vec::new();
    for minute in 0..MINUTES {
        let mut now_ms = redis_ms(&queue).await?;
        let due_ms = begun_ms + minute * MINUTE_MS;
        while now_ms < due_ms {
            tokio::time::sleep(Duration::from_millis((due_ms - now_ms) / TIMES + 1)).await;
            now_ms = redis_ms(&queue).await?;
        }
        assert!(now_ms < due_ms + MOST_LAG_MS, "this machine cannot keep up: it is minute {minute}");
        load.minute(minute, i64::try_from(now_ms)?).await?;
        if minute.is_multiple_of(SAMPLE_EVERY) {
            samples.push(load.sample(minute).await?);
        }
    }
    print(&samples);
    load.finish(MINUTES - 1).await?;
    let took_ms = redis_ms(&queue).await? - begun_ms;
    eprintln!("{} jobs in {} h of Redis, {} lanes tidied", load.added, took_ms / 3_600_000, load.tidied);
    server.stop().await?;
    assert!(took_ms >= 24 * 60 * MINUTE_MS, "{took_ms} ms are no day");
    assert!(load.added >= 1_000_000, "{} jobs", load.added);
    assert!(load.tidied > SHOWS, "{} lanes were tidied", load.tidied);
    assert_bounded("used_memory", &samples, |sample| sample.memory);
    assert_bounded("keys", &samples, |sample| sample.keys);
    Ok(())
}
