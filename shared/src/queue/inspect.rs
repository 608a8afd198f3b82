//! Looking into lanes, for operators, and paging them, for gateways that start.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::claim::Member;
use super::control::Pause;
use super::script::{arg, script};
use super::{Partition, Queue, QueueError};
use crate::domain::{Envelope, EventId, UserId};

/// Lanes that are asked for in one go.
const LANES_AT_ONCE: usize = 1_000;

/// The numbers in an owner's entries, as `enqueue.lua` writes them: 32 bytes each, 16 digits first.
fn live_numbers(entries: &[u8]) -> impl Iterator<Item = u64> {
    let number = |entry: &[u8]| std::str::from_utf8(entry.get(..16)?).ok()?.parse().ok();
    entries.chunks_exact(32).filter_map(number)
}

/// A finished job, as kept for inspection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinishedJob {
    /// Its number.
    pub number: u64,
    /// Whose it was.
    pub user: UserId,
    /// `completed` or `failed`.
    pub status: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How often it had failed by itself.
    pub attempts: u32,
    /// When, in ms since 1970.
    pub at_ms: i64,
    /// What a failed one asked for, so that it can be tried once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A job's bytes, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request(String);

impl Request {
    /// Of this job.
    pub(super) fn of(envelope: &Envelope) -> Self {
        Self(URL_SAFE_NO_PAD.encode(envelope.encode()))
    }

    /// The job; `None` when the bytes make no sense.
    pub fn read(&self) -> Option<Envelope> {
        Envelope::decode(&URL_SAFE_NO_PAD.decode(&self.0).ok()?).ok()
    }
}

/// The state of a lane.
#[derive(Debug, Clone, Default)]
pub struct LaneState {
    /// Jobs that wait, active ones not counted.
    pub waiting: u64,
    /// Jobs under a lease.
    pub active: u64,
    /// Jobs that wait for a seat to come back.
    pub standby: u64,
    /// The lane rests after a fault; its jobs are delayed.
    pub is_delayed: bool,
    /// Paused by itself, and why.
    pub own_pause: Pause,
    /// Paused with the whole queue, and why.
    pub whole_pause: Pause,
    /// Jobs completed since the lane began.
    pub completed: u64,
    /// Jobs failed since then.
    pub failed: u64,
    /// Leases that ran out since then.
    pub stalled: u64,
    /// The age of the oldest waiting job.
    pub oldest_waiting_s: Option<u64>,
    /// Who works on it.
    pub lease: Option<LeaseState>,
}

impl LaneState {
    /// The pause that holds: the lane's own, else the whole queue's.
    pub fn pause(&self) -> &Pause {
        Pause::of_lane(&self.own_pause, &self.whole_pause)
    }
}

/// A lease as operators see it.
#[derive(Debug, Clone)]
pub struct LeaseState {
    /// The worker.
    pub worker: String,
    /// Its fence.
    pub fence: u64,
    /// When it runs out, in ms since 1970.
    pub until_ms: u64,
    /// Since when it runs, in ms since 1970.
    pub since_ms: u64,
    /// Active for more than 30 s, or run out.
    pub is_stalled: bool,
}

/// A batch that is active for longer than this is flagged.
const STALLED_MS: u64 = 30_000;

/// Which finished jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Those that won.
    Completed,
    /// Those that were refused.
    Failed,
}

impl Queue {
    /// The pause of the whole queue, as a partition has it.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn whole_pause(&self, partition: Partition) -> Result<Pause, QueueError> {
        let (paused, message): (Option<String>, Option<String>) = redis::cmd("HMGET")
            .arg(self.keys().partition(partition))
            .arg(&["paused", "message"])
            .query_async(&mut self.connection())
            .await?;
        Ok(Pause { paused: paused.as_deref() == Some("1"), message: message.unwrap_or_default() })
    }

    /// The state of a lane.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn lane_state(&self, event: EventId) -> Result<LaneState, QueueError> {
        let keys = self.keys();
        let fields = [
            "fence",
            "lease_worker",
            "lease_until",
            "lease_count",
            "lease_since",
            "paused",
            "message",
            "completed",
            "failed",
            "stalled",
            "not_before",
            "lease_upto",
        ];
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(keys.meta(event)).arg(&fields);
        pipe.cmd("ZCARD").arg(keys.wait(event));
        pipe.cmd("ZCARD").arg(keys.standby(event));
        pipe.cmd("HMGET").arg(keys.partition(Partition::of(event))).arg(&["paused", "message"]);
        let (meta, present, standby, whole): (Vec<Option<String>>, u64, u64, Vec<Option<String>>) =
            pipe.query_async(&mut self.connection()).await?;
        let now_ms = self.now_ms().await?;
        let text = |at: usize| meta.get(at).cloned().flatten();
        let number = |at: usize| text(at).and_then(|text| text.parse().ok()).unwrap_or(0u64);
        let lease = text(1).map(|worker| LeaseState {
            worker,
            fence: number(0),
            until_ms: number(2),
            since_ms: number(4),
            is_stalled: now_ms > number(2) || now_ms.saturating_sub(number(4)) > STALLED_MS,
        });
        let active = lease.as_ref().filter(|lease| lease.until_ms > now_ms).map_or(0, |_| number(3));
        // Those at the head are active.
        let upto = if active > 0 { number(11) } else { 0 };
        let first: Vec<Member> = redis::cmd("ZRANGEBYSCORE")
            .arg(keys.wait(event))
            .arg(format!("({upto}"))
            .arg("+inf")
            .arg(&["LIMIT", "0", "1"])
            .query_async(&mut self.connection())
            .await?;
        let is_one = |value: Option<&Option<String>>| value.and_then(Option::as_deref) == Some("1");
        Ok(LaneState {
            waiting: present.saturating_sub(active),
            active,
            standby,
            is_delayed: number(10) > now_ms,
            own_pause: Pause { paused: is_one(meta.get(5)), message: text(6).unwrap_or_default() },
            whole_pause: Pause {
                paused: is_one(whole.first()),
                message: whole.get(1).cloned().flatten().unwrap_or_default(),
            },
            completed: number(7),
            failed: number(8),
            stalled: number(9),
            oldest_waiting_s: first
                .first()
                .and_then(Member::split)
                .map(|(number, _)| now_ms.saturating_sub(number / 1_000) / 1_000),
            lease,
        })
    }

    /// The latest finished jobs of a lane.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn finished_jobs(
        &self,
        event: EventId,
        which: Finished,
    ) -> Result<Vec<FinishedJob>, QueueError> {
        let (_, records) = self.records(event, which).await?;
        Ok(records.iter().filter_map(|record| serde_json::from_str(record).ok()).collect())
    }

    /// Forgets one failed job of a lane; its outcome stays in PostgreSQL.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn forget_failed(&self, event: EventId, number: u64) -> Result<(), QueueError> {
        let (key, records) = self.records(event, Finished::Failed).await?;
        let is_it = |record: &&String| {
            serde_json::from_str::<FinishedJob>(record).is_ok_and(|job| job.number == number)
        };
        if let Some(record) = records.iter().find(is_it) {
            let () =
                redis::cmd("LREM").arg(&key).arg(1).arg(record).query_async(&mut self.connection()).await?;
        }
        Ok(())
    }

    /// Forgets finished jobs of a lane that are older than this, oldest first; their outcomes stay in PostgreSQL. Returns
    /// how many.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn clean(
        &self,
        event: EventId,
        which: Finished,
        older_than: Duration,
        limit: usize,
    ) -> Result<u64, QueueError> {
        let (key, _) = self.finished(event, which);
        let args = [arg(older_than.as_millis()), arg(limit)];
        let mut reply = self.call(script!("clean"), &[key], &args).await?;
        match reply.word.as_str() {
            "cleaned" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }

    /// The key of the finished jobs, and what it holds.
    pub(super) async fn records(
        &self,
        event: EventId,
        which: Finished,
    ) -> Result<(String, Vec<String>), QueueError> {
        let (key, kept) = self.finished(event, which);
        let records = redis::cmd("LRANGE")
            .arg(&key)
            .arg(0)
            .arg(i64::from(kept) - 1)
            .query_async(&mut self.connection())
            .await?;
        Ok((key, records))
    }

    fn finished(&self, event: EventId, which: Finished) -> (String, u32) {
        match which {
            Finished::Completed => (self.keys().completed(event), self.config().queue_keep_completed),
            Finished::Failed => (self.keys().failed(event), self.config().queue_keep_failed),
        }
    }

    /// What somebody waits or stands by for, in all lanes.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn jobs_of(&self, owner: UserId) -> Result<Vec<(EventId, u64, Envelope)>, QueueError> {
        let mut jobs = Vec::new();
        for partition in Partition::all() {
            for lanes in self.lanes(partition).await?.chunks(LANES_AT_ONCE) {
                let mut pipe = redis::pipe();
                for lane in lanes {
                    pipe.hget(self.keys().owners(*lane), owner.0);
                }
                let entries: Vec<Option<Vec<u8>>> = pipe.query_async(&mut self.connection()).await?;
                for (lane, entries) in lanes.iter().zip(entries) {
                    for number in entries.iter().flat_map(|entries| live_numbers(entries)) {
                        jobs.extend(self.job(*lane, number).await?.map(|envelope| (*lane, number, envelope)));
                    }
                }
            }
        }
        Ok(jobs)
    }

    /// A job that waits or stands by; `None` when it does not, or its bytes make no sense.
    async fn job(&self, event: EventId, number: u64) -> Result<Option<Envelope>, QueueError> {
        for is_standby in [false, true] {
            let page = self.waiting_after(event, number.saturating_sub(1), 1, is_standby).await?;
            if let Some((_, envelope)) = page.into_iter().find(|(at, _)| *at == number) {
                return Ok(envelope);
            }
        }
        Ok(None)
    }

    /// A page of a lane, ascending, after a number: numbers and what they ask for.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn waiting_after(
        &self,
        event: EventId,
        after: u64,
        at_most: usize,
        is_standby: bool,
    ) -> Result<Vec<(u64, Option<Envelope>)>, QueueError> {
        let keys = self.keys();
        let set = if is_standby { keys.standby(event) } else { keys.wait(event) };
        let jobs: Vec<Member> = redis::cmd("ZRANGEBYSCORE")
            .arg(set)
            .arg(format!("({after}"))
            .arg("+inf")
            .arg("LIMIT")
            .arg(0)
            .arg(at_most)
            .query_async(&mut self.connection())
            .await?;
        let read = |(number, payload)| (number, Envelope::decode(payload).ok());
        Ok(jobs.iter().filter_map(Member::split).map(read).collect())
    }
}
