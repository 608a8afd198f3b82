//! Redis Streams: one stream a topic, one group a reader; on a Cluster as well.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};

use super::{Appended, Delivery, Envelope, Group, Sink, Source, StreamError};
use crate::queue::{Queue, stream};

/// A reader that has not finished within this time is taken for dead. Statements end long before.
const SILENT: Duration = Duration::from_secs(10);
/// Facts in one call.
const CALL: usize = 500;

/// Streams of Redis.
#[derive(Clone)]
pub struct RedisSink {
    queue: Queue,
    keep: u64,
}

impl RedisSink {
    /// Keeps at least so many entries of a topic.
    pub fn new(queue: Queue, keep: u64) -> Self {
        Self { queue, keep }
    }

    async fn append_all(&self, topic: &str, run: &str, facts: &[Envelope]) -> Result<Appended, StreamError> {
        let groups = Group::of(topic);
        // Without facts too: it is asked then whether the run is still the same.
        let mut rest = facts;
        loop {
            let (now, later) = rest.split_at(rest.len().min(CALL));
            let envelopes: Vec<String> = now.iter().map(Envelope::to_json).collect();
            match self.queue.append_facts(topic, run, (self.keep, &groups), &envelopes).await? {
                stream::Appended::Done => {}
                stream::Appended::Anew(run) => return Ok(Appended::Anew(run)),
                stream::Appended::Behind(_) => return Ok(Appended::Behind),
            }
            if later.is_empty() {
                return Ok(Appended::Done);
            }
            rest = later;
        }
    }
}

impl Sink for RedisSink {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        run: &'a str,
        facts: &'a [Envelope],
    ) -> BoxFuture<'a, Result<Appended, StreamError>> {
        self.append_all(topic, run, facts).boxed()
    }

    fn begin<'a>(&'a self, topic: &'a str, run: &'a str) -> BoxFuture<'a, Result<(), StreamError>> {
        async move { Ok(self.queue.begin_stream(topic, run).await?) }.boxed()
    }
}

/// A reader of a group.
pub struct RedisSource {
    queue: Queue,
    group: Group,
    reader: String,
    silent: Duration,
}

impl RedisSource {
    /// A reader with a name of its own.
    pub fn new(queue: Queue, group: Group, reader: String) -> Self {
        Self { queue, group, reader, silent: SILENT }
    }

    /// The same, which takes others for dead after this time.
    #[must_use]
    pub fn with_silence(self, silent: Duration) -> Self {
        Self { silent, ..self }
    }

    async fn read_topic(&self, topic: &'static str, at_most: usize) -> Result<Vec<Delivery>, StreamError> {
        let who = (self.group.name(), self.reader.as_str());
        let facts = match self.queue.read_facts(topic, who, at_most, self.silent).await? {
            stream::Facts::Some(facts) => facts,
            stream::Facts::Empty | stream::Facts::Busy => Vec::new(),
        };
        Ok(facts.into_iter().map(|(id, envelope)| Delivery::of(topic, id, &envelope)).collect())
    }
}

impl Source for RedisSource {
    fn group(&self) -> Group {
        self.group
    }

    fn read(&mut self, at_most: usize) -> BoxFuture<'_, Result<Vec<Delivery>, StreamError>> {
        async move {
            let topics = self.group.topics().iter().map(|topic| self.read_topic(topic, at_most));
            Ok(try_join_all(topics).await?.concat())
        }
        .boxed()
    }

    fn acknowledge<'a>(&'a mut self, facts: &'a [Delivery]) -> BoxFuture<'a, Result<(), StreamError>> {
        async move {
            for topic in self.group.topics() {
                let ids: Vec<&str> =
                    facts.iter().filter(|fact| fact.topic == *topic).map(|fact| fact.id.as_str()).collect();
                self.queue.finish_facts(topic, self.group.name(), &ids).await?;
            }
            Ok(())
        }
        .boxed()
    }
}
