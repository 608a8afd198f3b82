//! Looking into the lanes of a named queue, for operators.

use std::collections::HashMap;

use serde::Deserialize;
use uuid::Uuid;

use super::inspect::Finished;
use super::jobs::{Job, JobAdded, JobToAdd, nth_of, partition};
use super::{Queue, QueueError};
use crate::domain::EventId;

/// Errors that are told of one job, the latest ones.
const ERRORS: usize = 20;

/// What is in a lane of a named queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneCounts {
    /// Which lane.
    pub lane: u16,
    /// Jobs that may run and are not active.
    pub waiting: u64,
    /// Jobs under a lease.
    pub active: u64,
    /// Jobs that rest after a failure, or are for later.
    pub resting: u64,
    /// Jobs completed since the lane began.
    pub completed: u64,
    /// Jobs failed for good since then.
    pub failed: u64,
    /// Paused by itself.
    pub is_paused: bool,
    /// Who does what is active.
    pub worker: Option<String>,
}

/// What is read of a failed job's record.
#[derive(Deserialize)]
struct FailedRecord {
    id: Uuid,
    #[serde(default)]
    error: Option<String>,
}

impl Queue {
    /// What is in each lane that was used, in the order of their numbers.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn lane_counts(&self) -> Result<Vec<LaneCounts>, QueueError> {
        let lanes = self.lanes(partition()).await?;
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let (keys, mut redis, now_ms) = (self.keys(), self.connection(), self.now_ms().await?);
        let (mut metas, mut sizes) = (redis::pipe(), redis::pipe());
        for lane in &lanes {
            let fields = ["lease_until", "lease_count", "completed", "failed", "paused", "lease_worker"];
            metas.cmd("HMGET").arg(keys.meta(*lane)).arg(&fields);
            sizes.cmd("ZCARD").arg(keys.wait(*lane));
            sizes.cmd("ZCARD").arg(keys.delayed(*lane));
        }
        let metas: Vec<Vec<Option<String>>> = metas.query_async(&mut redis).await?;
        let sizes: Vec<u64> = sizes.query_async(&mut redis).await?;
        let of = |((lane, meta), sizes): ((&EventId, &Vec<Option<String>>), &[u64])| {
            let text = |at: usize| meta.get(at).cloned().flatten();
            let number = |at: usize| text(at).and_then(|text| text.parse().ok()).unwrap_or(0u64);
            let [until, count, completed, failed] = [0, 1, 2, 3].map(number);
            let is_leased = until > now_ms;
            let active = if is_leased { count } else { 0 };
            let size = |at: usize| sizes.get(at).copied().unwrap_or(0);
            let waiting = size(0).saturating_sub(active);
            LaneCounts {
                lane: nth_of(*lane),
                waiting,
                active,
                resting: size(1),
                completed,
                failed,
                is_paused: text(4).as_deref() == Some("1"),
                worker: text(5).filter(|_| is_leased),
            }
        };
        Ok(lanes.iter().zip(&metas).zip(sizes.chunks(2)).map(of).collect())
    }

    /// What adding these jobs would tell that are in a lane already, under the numbers that are known of them or for later.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn still_in(
        &self,
        lane: EventId,
        jobs: &[(JobToAdd, Option<u64>)],
    ) -> Result<Vec<Option<JobAdded>>, QueueError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        // All of one moment: what rested may be taken back meanwhile.
        let (wait, delayed, mut pipe) = (self.keys().wait(lane), self.keys().delayed(lane), redis::pipe());
        pipe.atomic();
        for (job, number) in jobs {
            let (numbered, later) = (Job::member(job, *number), Job::member(job, None));
            for (set, member) in [(&wait, &numbered), (&delayed, &numbered), (&delayed, &later)] {
                pipe.cmd("ZSCORE").arg(set).arg(member);
            }
        }
        let scores: Vec<Option<f64>> = pipe.query_async(&mut self.connection()).await?;
        let found = |(scores, (_, number)): (&[Option<f64>], &(JobToAdd, Option<u64>))| {
            let is_there = |at: usize| scores.get(at).copied().flatten().is_some();
            let number = number.filter(|_| is_there(0) || is_there(1));
            (number.is_some() || is_there(2)).then_some(JobAdded::Queued(number))
        };
        Ok(scores.chunks(3).zip(jobs).map(found).collect())
    }

    /// The numbers of jobs of a lane that were for later, where they have one by now and it is kept still, for twelve hours at
    /// least.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn numbers(&self, lane: EventId, ids: &[Uuid]) -> Result<Vec<Option<u64>>, QueueError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let mut pipe = redis::pipe();
        for kept in [self.keys().idem(lane), self.keys().idem_old(lane)] {
            pipe.cmd("HMGET").arg(kept).arg(&names);
        }
        let (new, old): (Vec<Option<Vec<u8>>>, Vec<Option<Vec<u8>>>) =
            pipe.query_async(&mut self.connection()).await?;
        let number = |entry: Vec<u8>| std::str::from_utf8(entry.get(..16)?).ok()?.parse().ok();
        let either = new.into_iter().zip(old).map(|(new, old)| new.or(old).and_then(number));
        Ok(either.map(|number| number.filter(|number| *number > 0)).collect())
    }

    /// The places of jobs of a lane, which are named by their numbers: how many are ahead + 1, 0 for one that a worker has
    /// at hand; `None` for one that rests or is not in the lane (any more).
    ///
    /// # Errors
    /// Redis is away.
    pub async fn places(&self, lane: EventId, numbers: &[u64]) -> Result<Vec<Option<u64>>, QueueError> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let (wait, now_ms) = (self.keys().wait(lane), self.now_ms().await?);
        // All of one moment.
        let (mut pipe, meta) = (redis::pipe(), self.keys().meta(lane));
        pipe.atomic().cmd("HGET").arg(&meta).arg("lease_until").cmd("HGET").arg(&meta).arg("lease_count");
        for number in numbers {
            pipe.cmd("ZCOUNT").arg(&wait).arg("-inf").arg(*number);
            pipe.cmd("ZCOUNT").arg(&wait).arg(*number).arg(*number);
        }
        let told: Vec<Option<u64>> = pipe.query_async(&mut self.connection()).await?;
        let told: Vec<u64> = told.into_iter().map(Option::unwrap_or_default).collect();
        let Some(([until, count], counts)) = told.split_first_chunk() else {
            return Err(QueueError::Reply("not one answer a command"));
        };
        let active = if *until > now_ms { *count } else { 0 };
        let place = |counts: &[u64]| (counts.get(1) == Some(&1)).then(|| counts[0].saturating_sub(active));
        Ok(counts.chunks(2).map(place).collect())
    }

    /// How each attempt of these jobs of a lane has failed so far, the last one last; of one of which nothing is kept
    /// nothing. The jobs are named by their numbers.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn errors_so_far(
        &self,
        lane: EventId,
        numbers: &[u64],
    ) -> Result<Vec<Vec<String>>, QueueError> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let kept: Vec<Option<String>> = redis::cmd("HMGET")
            .arg(self.keys().errors(lane))
            .arg(numbers)
            .query_async(&mut self.connection())
            .await?;
        let lines = |kept: Option<String>| kept.unwrap_or_default().lines().map(str::to_owned).collect();
        Ok(kept.into_iter().map(|kept| latest(lines(kept))).collect())
    }

    /// The same of the failed jobs of a lane that are kept for inspection.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn errors_of_failed(&self, lane: EventId) -> Result<HashMap<Uuid, Vec<String>>, QueueError> {
        let (_, records) = self.records(lane, Finished::Failed).await?;
        let read = |text: &String| {
            let (record, before) = text.split_once('\n').unwrap_or((text.as_str(), ""));
            let record: FailedRecord = serde_json::from_str(record).ok()?;
            let errors = before.lines().map(str::to_owned).chain(record.error);
            Some((record.id, latest(errors.collect())))
        };
        Ok(records.iter().filter_map(read).collect())
    }
}

/// The last of them.
fn latest(mut errors: Vec<String>) -> Vec<String> {
    errors.split_off(errors.len().saturating_sub(ERRORS))
}
