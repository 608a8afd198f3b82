//! Emptying and forgetting a named queue, or one of its lanes.

use std::collections::HashMap;
use std::net::IpAddr;

use uuid::Uuid;

use super::named::scope_named;
use super::{Drained, Fault, Operations, OperationsError};
use crate::domain::UserId;
use crate::queue::inspect_jobs::LaneCounts;
use crate::queue::jobs::lane;
use crate::queue::take_out::Ended;
use crate::queue::{Queue, QueueError};
use crate::store::RemovedJob;

/// Jobs that one call takes out of Redis, so that nobody else waits long for it.
const AT_ONCE: usize = 500;

/// Jobs that workers have at hand, by lane.
type AtHand = Vec<(u16, Vec<Uuid>)>;

/// What was ended, and what was not.
pub(super) struct Cleared {
    lanes: Vec<LaneCounts>,
    at_hand: AtHand,
    pub(super) ended: Vec<RemovedJob>,
}

impl Operations {
    /// Ends up to `limit` jobs of a named queue, or of one of its lanes, that wait, rest or are for later, oldest first, as
    /// `removed`. What a worker has at hand, or takes meanwhile, goes on and is told as left.
    ///
    /// # Errors
    /// No such queue, or one whose jobs are owed to somebody, or a store is away; doing it again goes on.
    pub async fn drain_named(
        &self,
        (queue, nth): (&str, Option<u16>),
        limit: usize,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<Drained, OperationsError> {
        self.may_remove(queue).await?;
        let named = self.queue.named(queue);
        let removed = self.drain_lanes(&named, nth, limit).await;
        self.audit_end(by, ip, "queue.drain", &scope_named(queue, nth), removed.is_ok()).await?;
        let (removed, unfinished) = (removed?, self.store.unfinished_jobs(queue, nth).await?);
        // What has ended and lies in Redis still is left too: whoever calls again takes it out.
        let lanes = lanes_of(&named, nth).await.map_err(Fault::from)?;
        let held: u64 = lanes.iter().map(|lane| lane.waiting + lane.active + lane.resting).sum();
        Ok(Drained { removed, left: unfinished.max(held) })
    }

    /// Drains like [`Self::drain_named`], and once nothing is left, forgets the lane, or all lanes, with all that is kept of
    /// them in Redis; the jobs stay in PostgreSQL as they ended. One that stops before that is written down as well, with how
    /// far it came.
    ///
    /// # Errors
    /// No such queue, or one whose jobs are owed to somebody, or a store is away; doing it again goes on.
    pub async fn obliterate_named(
        &self,
        (queue, nth): (&str, Option<u16>),
        limit: usize,
        (by, ip): (UserId, Option<IpAddr>),
    ) -> Result<(Drained, bool), OperationsError> {
        let drained = self.drain_named((queue, nth), limit, (by, ip)).await?;
        let mut forgotten = 0;
        let is_gone = match drained.left {
            0 => self.forget_lanes((queue, nth), &mut forgotten).await,
            _ => Ok(false),
        };
        let result = match &is_gone {
            Ok(true) => "done".to_owned(),
            Ok(false) => {
                let Drained { removed, left } = drained;
                format!("done in part: {removed} ended, {left} left, {forgotten} lanes forgotten")
            }
            Err(_) => format!("done in part: a store was away, {forgotten} lanes forgotten"),
        };
        let object = scope_named(queue, nth);
        self.store.insert_audit(ip, Some(by), "queue.obliterate", &object, &result).await?;
        Ok((drained, is_gone?))
    }

    /// Forgets the lanes that nobody is in, and counts them; whether these were all.
    async fn forget_lanes(
        &self,
        (queue, nth): (&str, Option<u16>),
        forgotten: &mut u32,
    ) -> Result<bool, OperationsError> {
        let (named, mut is_gone) = (self.queue.named(queue), true);
        for counts in lanes_of(&named, nth).await.map_err(Fault::from)? {
            if named.obliterate(lane(counts.lane)).await.map_err(Fault::from)? {
                *forgotten += 1;
            } else {
                is_gone = false;
            }
        }
        Ok(is_gone)
    }

    /// Ends jobs of a queue, of one of its lanes, or one alone, as `removed`, but for those that a worker has at hand. In
    /// PostgreSQL first: what is lost on the way to Redis, or comes there only now, is passed over by the worker that claims
    /// it.
    pub(super) async fn end_waiting(
        &self,
        named: &Queue,
        (nth, only): (Option<u16>, Option<Uuid>),
        limit: usize,
    ) -> Result<Cleared, OperationsError> {
        let at_most = i64::try_from(limit).unwrap_or(i64::MAX);
        let (_, before) = at_hand_in(named, nth).await?;
        let spared = ids_of(&before);
        let mut open = self.store.jobs_to_drain(named.name(), (nth, only), &spared, at_most).await?;
        // Once more: what was begun before they were read is at hand by now, and what is begun from here on has an attempt
        // more when they end. So none of them is done and yet removed.
        let (lanes, at_hand) = at_hand_in(named, nth).await?;
        let spared = ids_of(&at_hand);
        open.retain(|(id, _)| !spared.contains(id));
        let ended = self.store.drain_jobs(&open).await?;
        Ok(Cleared { lanes, at_hand, ended })
    }

    /// Returns how many ended.
    async fn drain_lanes(
        &self,
        named: &Queue,
        nth: Option<u16>,
        limit: usize,
    ) -> Result<u64, OperationsError> {
        let Cleared { lanes, at_hand, ended } = self.end_waiting(named, (nth, None), limit).await?;
        // Where to look for those that ended: at the heads, behind what is at hand.
        let mut looks: HashMap<u16, usize> = at_hand.iter().map(|(nth, jobs)| (*nth, jobs.len())).collect();
        for job in &ended {
            *looks.entry(job.lane).or_default() += 1;
        }
        // Further ones may have been left there by a call before this one.
        let mut rest = limit.saturating_sub(ended.len());
        for counts in &lanes {
            let least = looks.get(&counts.lane).copied().unwrap_or(0);
            let looked_at = self.take_out_finished(named, counts.lane, least + rest).await?;
            rest = rest.saturating_sub(looked_at.saturating_sub(least));
        }
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }

    /// Takes what has ended out of a lane; returns how many jobs it looked at.
    async fn take_out_finished(
        &self,
        named: &Queue,
        nth: u16,
        at_most: usize,
    ) -> Result<usize, OperationsError> {
        let jobs = named.jobs_in(lane(nth), at_most).await.map_err(Fault::from)?;
        if jobs.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Uuid> = jobs.iter().map(|(id, _)| *id).collect();
        let mut finished = self.store.finished_among(&ids).await?;
        let ended = |(id, member)| Some(Ended { member, id, status: finished.remove(&id)? });
        let gone: Vec<Ended> = jobs.into_iter().filter_map(ended).collect();
        take_out(named, nth, &gone).await.map_err(Fault::from)?;
        Ok(ids.len())
    }
}

/// Takes jobs out of a lane whose rows say how they ended.
pub(super) async fn take_out(named: &Queue, nth: u16, gone: &[Ended]) -> Result<(), QueueError> {
    for some in gone.chunks(AT_ONCE) {
        named.take_out(lane(nth), some).await?;
    }
    Ok(())
}

/// The lanes that are meant, and the jobs of each that a worker has at hand.
async fn at_hand_in(named: &Queue, nth: Option<u16>) -> Result<(Vec<LaneCounts>, AtHand), OperationsError> {
    let lanes = lanes_of(named, nth).await.map_err(Fault::from)?;
    let mut at_hand = Vec::new();
    for counts in lanes.iter().filter(|counts| counts.active > 0) {
        at_hand.push((counts.lane, named.at_hand(lane(counts.lane)).await.map_err(Fault::from)?));
    }
    Ok((lanes, at_hand))
}

fn ids_of(at_hand: &[(u16, Vec<Uuid>)]) -> Vec<Uuid> {
    at_hand.iter().flat_map(|(_, jobs)| jobs).copied().collect()
}

/// The lane that is meant, or all, as far as they were used.
async fn lanes_of(named: &Queue, nth: Option<u16>) -> Result<Vec<LaneCounts>, QueueError> {
    let mut lanes = named.lane_counts().await?;
    lanes.retain(|counts| nth.is_none_or(|nth| counts.lane == nth));
    Ok(lanes)
}
