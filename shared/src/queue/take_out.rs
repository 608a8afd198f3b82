//! Taking jobs of a named queue out of a lane whose rows in PostgreSQL say already how they ended.

use uuid::Uuid;

use super::claim::Member;
use super::jobs::Job;
use super::script::{Call, script};
use super::{Partition, Queue, QueueError};
use crate::domain::EventId;

/// A job whose row says how it ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// As it stands in its lane.
    pub member: Member,
    /// Its id.
    pub id: Uuid,
    /// `completed`, `failed` or `removed`.
    pub status: String,
}

impl Queue {
    /// The jobs of a lane that a worker has at hand.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn at_hand(&self, lane: EventId) -> Result<Vec<Uuid>, QueueError> {
        let now_ms = self.now_ms().await?;
        let mut redis = self.connection();
        let (until, upto): (Option<u64>, Option<u64>) = redis::cmd("HMGET")
            .arg(self.keys().meta(lane))
            .arg(&["lease_until", "lease_upto"])
            .query_async(&mut redis)
            .await?;
        let Some(upto) = upto.filter(|_| until.is_some_and(|until| until > now_ms)) else {
            return Ok(Vec::new());
        };
        let jobs: Vec<Member> = redis::cmd("ZRANGEBYSCORE")
            .arg(self.keys().wait(lane))
            .arg("-inf")
            .arg(upto)
            .query_async(&mut redis)
            .await?;
        Ok(jobs.iter().map(Job::id_of).collect())
    }

    /// Jobs of a lane, those first that run first, and those that rest or are for later, so many of both at most.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn jobs_in(&self, lane: EventId, at_most: usize) -> Result<Vec<(Uuid, Member)>, QueueError> {
        if at_most == 0 {
            return Ok(Vec::new());
        }
        let (keys, mut redis) = (self.keys(), self.connection());
        let mut pipe = redis::pipe();
        for set in [keys.wait(lane), keys.delayed(lane)] {
            pipe.cmd("ZRANGE").arg(set).arg(0).arg(at_most - 1);
        }
        let (wait, delayed): (Vec<Member>, Vec<Member>) = pipe.query_async(&mut redis).await?;
        Ok(wait.into_iter().chain(delayed).map(|job| (Job::id_of(&job), job)).collect())
    }

    /// Takes these jobs out of a lane, but for those that a worker has at hand, and tells the feed; returns how many.
    ///
    /// # Errors
    /// Redis is away: a worker that claims them passes over them.
    pub async fn take_out(&self, lane: EventId, jobs: &[Ended]) -> Result<u64, QueueError> {
        let keys = self.keys();
        let partition = Partition::of(lane);
        let names = [
            keys.partition(partition),
            keys.feed(partition),
            keys.meta(lane),
            keys.wait(lane),
            keys.delayed(lane),
            keys.attempts(lane),
            keys.errors(lane),
        ];
        let mut call = Call::new(script!("take_out"), &names);
        call.arg(lane.0);
        for Ended { member, id, status } in jobs {
            call.arg(member).arg(id.to_string()).arg(status);
        }
        let mut reply = self.send(&call).await?;
        match reply.word.as_str() {
            "taken_out" => reply.next(),
            _ => Err(reply.unknown()),
        }
    }
}
