//! Ending the jobs of a batch.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::claim::{Batch, ClaimedJob, Lease};
use super::feed::{Done, Told};
use super::lease::LeaseLost;
use super::script::{Call, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{Outcome, UserId};

/// How one job of a batch ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With an outcome, which stands in PostgreSQL.
    Decided(Outcome),
    /// It waits for a seat to come back.
    StandsBy,
}

/// A batch that was decided.
#[derive(Debug, Default)]
pub struct Decided {
    /// How each job ends, by its number; a job that is missing here waits on.
    pub endings: HashMap<u64, Ending>,
    /// Who lost a reservation that had run out.
    pub told: Vec<Told>,
    /// Locks to release.
    pub locks: Vec<String>,
    /// PostgreSQL's clock at the decision, in ms since 1970.
    pub now_ms: i64,
    /// A job that failed by itself: it waits on in its place, and its attempts rise by one.
    pub stuck: Option<u64>,
    /// The lane rests this long.
    pub delay: Duration,
    /// How long it took to decide.
    pub took: Duration,
    /// What was won is shown by somebody else, later.
    pub is_shown_later: bool,
}

/// Jobs in one call at most: one or two milliseconds in which nobody else is served by Redis.
const JOBS_PER_CALL: usize = 100;

/// What a call says beside its jobs.
#[derive(Debug, Default)]
pub(super) struct SettleTail {
    /// A job that failed by itself and waits on.
    pub(super) stuck: Option<u64>,
    /// The lane rests this long.
    pub(super) delay: Duration,
    /// The lease is given back.
    pub(super) is_last: bool,
    /// How long the batch took, with its last part.
    pub(super) took: Duration,
}

/// Which part of a batch is settled.
#[derive(Clone, Copy)]
struct Part<'a> {
    jobs: &'a [ClaimedJob],
    /// Locks that are released with it.
    locks: &'a [String],
    /// No part of this batch came before.
    is_first: bool,
    /// No further part of this batch follows.
    is_last: bool,
    /// No further batch follows under this lease.
    gives_back: bool,
}

/// Only the last jobs of either kind are kept for inspection; the first ones of a large batch are not even sent.
struct ToKeep {
    skip_completed: usize,
    skip_failed: usize,
}

impl ToKeep {
    fn is_kept(&mut self, word: &str) -> bool {
        let skip = if word == "completed" { &mut self.skip_completed } else { &mut self.skip_failed };
        let is_skipped = *skip > 0;
        *skip = skip.saturating_sub(1);
        !is_skipped
    }
}

impl Queue {
    /// Ends jobs, shows their reservations unless that is for later, and releases their locks; the lease as well when
    /// `gives_back`. Returns how
    /// many wait on.
    ///
    /// # Errors
    /// Redis is away: the outcomes stand, and the next delivery reads them back.
    pub async fn settle(
        &self,
        batch: &Batch,
        decided: &Decided,
        gives_back: bool,
    ) -> Result<Result<u64, LeaseLost>, QueueError> {
        let mut parts: Vec<&[ClaimedJob]> = batch.jobs.chunks(JOBS_PER_CALL).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let last = parts.len() - 1;
        // Each part has its share of the locks, lest the last one take the longest.
        let mut locks = decided.locks.chunks(decided.locks.len().div_ceil(parts.len()).max(1));
        let mut to_keep = self.to_keep(decided);
        let mut calls = Vec::with_capacity(parts.len());
        for (at, jobs) in parts.into_iter().enumerate() {
            let locks = locks.next().unwrap_or_default();
            let part = Part { jobs, locks, is_first: at == 0, is_last: at == last, gives_back };
            calls.push(self.part_call(&batch.lease, part, decided, &mut to_keep));
        }
        // All are under way at once, in this order on one connection, so that only one way there and back is waited for.
        // Should a part be overtaken by the last one, its jobs wait on, and the next claim reads their outcomes back.
        let settling = try_join_all(calls.iter().map(|call| self.send_settle(call)));
        let ((), settled) = tokio::join!(self.show_won(batch, decided), settling);
        let settled: Result<Vec<u64>, LeaseLost> = settled?.into_iter().collect();
        Ok(settled.map(|waiting| waiting.last().copied().unwrap_or_default()))
    }

    /// The call that settles a part.
    fn part_call(&self, lease: &Lease, part: Part<'_>, decided: &Decided, to_keep: &mut ToKeep) -> Call {
        let mut keys = self.settle_keys(lease);
        let mut done = Done::default();
        let mut jobs = Vec::new();
        for job in part.jobs {
            let Some(ending) = decided.endings.get(&job.number) else { continue };
            let owner = job.envelope.as_ref().map_or(UserId(0), |envelope| envelope.owner);
            let word = match ending {
                Ending::Decided(outcome) => {
                    done.push(job.number, owner, outcome);
                    outcome.word()
                }
                Ending::StandsBy => {
                    done.standby.push(job.number);
                    "standby"
                }
            };
            let record = if to_keep.is_kept(word) { record(job, owner, ending, decided) } else { Vec::new() };
            jobs.push((&job.member, word, owner, record));
        }
        if part.is_first {
            // Before anybody is told who has those places now.
            done.told.clone_from(&decided.told);
        }
        keys.extend(part.locks.iter().cloned());
        let tail = SettleTail {
            stuck: decided.stuck,
            delay: decided.delay,
            is_last: part.is_last && part.gives_back,
            // Each batch counts once, whatever its parts, and for a millisecond at least.
            took: if part.is_last { decided.took.max(Duration::from_millis(1)) } else { Duration::ZERO },
        };
        let entry = serde_json::to_string(&done).unwrap_or_default();
        let mut call = self.settle_call(lease, &keys, &entry, jobs.len(), &tail);
        for (member, word, owner, record) in jobs {
            call.arg(member).arg(word).arg(owner.0).arg(record);
        }
        call
    }

    /// A call of `settle.lua`, up to the jobs.
    pub(super) fn settle_call(
        &self,
        lease: &Lease,
        keys: &[String],
        entry: &str,
        jobs: usize,
        tail: &SettleTail,
    ) -> Call {
        let config = self.config();
        let mut call = Call::new(script!("settle"), keys);
        call.arg(lease.event.0)
            .arg(&lease.worker)
            .arg(lease.fence)
            .arg(self.keys().wake())
            .arg(entry)
            .arg(config.queue_keep_completed)
            .arg(config.queue_keep_failed)
            .arg(jobs)
            .arg(tail.stuck.map(|number| number.to_string()).unwrap_or_default())
            .arg(ms(tail.delay))
            .arg(u8::from(tail.is_last))
            .arg(ms(tail.took));
        call
    }

    /// Makes it; how many wait on.
    pub(super) async fn send_settle(&self, call: &Call) -> Result<Result<u64, LeaseLost>, QueueError> {
        let mut reply = self.send(call).await?;
        match reply.word.as_str() {
            "settled" => Ok(Ok(reply.next()?)),
            "lost" => Ok(Err(LeaseLost)),
            _ => Err(reply.unknown()),
        }
    }

    fn to_keep(&self, decided: &Decided) -> ToKeep {
        let count = |wanted: &str| {
            let is_wanted =
                |ending: &&Ending| matches!(ending, Ending::Decided(outcome) if outcome.word() == wanted);
            decided.endings.values().filter(is_wanted).count()
        };
        let config = self.config();
        ToKeep {
            skip_completed: count("completed").saturating_sub(config.queue_keep_completed as usize),
            skip_failed: count("failed").saturating_sub(config.queue_keep_failed as usize),
        }
    }

    pub(super) fn settle_keys(&self, lease: &Lease) -> Vec<String> {
        let (keys, event, partition) = (self.keys(), lease.event, Partition::of(lease.event));
        vec![
            keys.partition(partition),
            keys.ready(partition),
            keys.feed(partition),
            keys.meta(event),
            keys.wait(event),
            keys.owners(event),
            keys.attempts(event),
            keys.standby(event),
            keys.completed(event),
            keys.failed(event),
            keys.history(event),
            keys.delayed(event),
            keys.errors(event),
            keys.leased(partition),
        ]
    }

    /// Writes the reservation keys of what was won, for display. They are nobody's proof, and what stands in PostgreSQL is
    /// settled without them.
    async fn show_won(&self, batch: &Batch, decided: &Decided) {
        if decided.is_shown_later {
            return;
        }
        let (keys, event) = (self.keys(), batch.lease.event);
        let mut held = Vec::new();
        for job in &batch.jobs {
            let Some(Ending::Decided(Outcome::Completed(won))) = decided.endings.get(&job.number) else {
                continue;
            };
            let owner = job.envelope.as_ref().map_or(UserId(0), |envelope| envelope.owner);
            let ttl_ms = won.expires_at_ms - decided.now_ms;
            if ttl_ms <= 0 {
                continue;
            }
            held.extend(keys.reserved(event, won).into_iter().map(|key| (key, owner, ttl_ms)));
        }
        if let Err(error) = self.show_reservations(&held).await {
            tracing::debug!(
                event.id = event.0,
                error = crate::telemetry::chain(&error),
                "reservations are not shown"
            );
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A line for inspection: who, how, when.
fn record(job: &ClaimedJob, owner: UserId, ending: &Ending, decided: &Decided) -> Vec<u8> {
    let Ending::Decided(outcome) = ending else { return Vec::new() };
    let code = match outcome {
        Outcome::Completed(_) => None,
        Outcome::Failed(refusal) => Some(refusal.code()),
    };
    let record = super::inspect::FinishedJob {
        number: job.number,
        user: owner,
        status: outcome.word().to_owned(),
        code: code.map(str::to_owned),
        attempts: job.attempts,
        at_ms: decided.now_ms,
        request: code.and(job.envelope.as_ref()).map(super::inspect::Request::of),
    };
    serde_json::to_vec(&record).unwrap_or_default()
}
