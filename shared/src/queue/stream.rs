//! Streams of facts, one a topic, and the groups that read them.

use std::collections::HashMap;
use std::time::Duration;

use redis::streams::StreamInfoGroupsReply;

use super::script::{Call, script};
use super::{Queue, QueueError};

/// What became of facts that were to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// They stand in the stream.
    Done,
    /// Nothing was added: it is another run of Redis, with this id, or the stream was lost.
    Anew(String),
    /// Nothing was added: a group has so many entries left that the oldest would be cut off.
    Behind(u64),
}

/// What a reader got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Ids of the stream and envelopes, in order.
    Some(Vec<(String, String)>),
    /// There is nothing.
    Empty,
    /// Another reader of the group is at it.
    Busy,
}

/// How far a group is behind on a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Entries that were not handed to anybody.
    pub unread: u64,
    /// Entries that were handed out and are not finished.
    pub pending: u64,
}

impl Queue {
    /// Adds envelopes to a topic in their order, if it is in the run that the caller has `seen` and none of the `groups`
    /// would lose what it has not finished. At least `keep` entries are kept.
    ///
    /// # Errors
    /// Redis is away or full.
    pub async fn append_facts(
        &self,
        topic: &str,
        seen: &str,
        (keep, groups): (u64, &[&str]),
        envelopes: &[String],
    ) -> Result<Appended, QueueError> {
        let keys = [self.keys().stream(topic), self.keys().stream_run(topic)];
        let mut call = Call::new(script!("append_facts"), &keys);
        call.arg(seen).arg(keep).arg(groups.len()).arg(groups);
        for envelope in envelopes {
            call.arg(envelope);
        }
        let mut reply = self.send(&call).await?;
        match reply.word.as_str() {
            "ok" => Ok(Appended::Done),
            "anew" => Ok(Appended::Anew(reply.next()?)),
            "behind" => Ok(Appended::Behind(reply.next()?)),
            _ => Err(reply.unknown()),
        }
    }

    /// Says that a topic is in this run now.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn begin_stream(&self, topic: &str, run: &str) -> Result<(), QueueError> {
        let () = redis::cmd("SET")
            .arg(self.keys().stream_run(topic))
            .arg(run)
            .query_async(&mut self.connection())
            .await?;
        Ok(())
    }

    /// Reads the next facts of a topic for a group, so many at most; what was not finished comes first, somebody else's
    /// after `silent`.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn read_facts(
        &self,
        topic: &str,
        (group, reader): (&str, &str),
        at_most: usize,
        silent: Duration,
    ) -> Result<Facts, QueueError> {
        let mut call = Call::new(script!("read_facts"), &[self.keys().stream(topic)]);
        call.arg(group).arg(reader).arg(at_most).arg(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
        let mut reply = self.send(&call).await?;
        match reply.word.as_str() {
            "facts" => {
                let mut facts = Vec::with_capacity(reply.left() / 2);
                while reply.left() > 0 {
                    facts.push((reply.next()?, reply.next()?));
                }
                Ok(Facts::Some(facts))
            }
            "empty" => Ok(Facts::Empty),
            "busy" => Ok(Facts::Busy),
            _ => Err(reply.unknown()),
        }
    }

    /// These entries are finished.
    ///
    /// # Errors
    /// Redis is away; they are handed out once more then.
    pub async fn finish_facts(&self, topic: &str, group: &str, ids: &[&str]) -> Result<(), QueueError> {
        if ids.is_empty() {
            return Ok(());
        }
        let _: u64 = redis::cmd("XACK")
            .arg(self.keys().stream(topic))
            .arg(group)
            .arg(ids)
            .query_async(&mut self.connection())
            .await?;
        Ok(())
    }

    /// How far the groups of a topic are behind; nothing where nobody has read or written it yet.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn stream_lag(&self, topic: &str) -> Result<HashMap<String, Lag>, QueueError> {
        let reply: Result<StreamInfoGroupsReply, redis::RedisError> = redis::cmd("XINFO")
            .arg("GROUPS")
            .arg(self.keys().stream(topic))
            .query_async(&mut self.connection())
            .await;
        let groups = match reply {
            Ok(reply) => reply.groups,
            // There is no such stream.
            Err(error) if error.code() == Some("ERR") => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let lag = groups.into_iter().map(|group| {
            let unread = group.lag.unwrap_or(0) as u64;
            (group.name, Lag { unread, pending: group.pending as u64 })
        });
        Ok(lag.collect())
    }
}
