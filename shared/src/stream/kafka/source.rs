//! Reading from Kafka.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::Kafka;
use crate::stream::{Delivery, Group, Source, StreamError};

/// How long the first fact is waited for, and each further one.
const FIRST: Duration = Duration::from_millis(200);
const FURTHER: Duration = Duration::from_millis(5);
/// A reader that is not heard of for so long is taken for dead.
const SILENT_MS: &str = "10000";

/// A reader of a group; partitions are shared out among all of them.
pub struct KafkaSource {
    consumer: StreamConsumer,
    group: Group,
    prefix: String,
    /// What was handed out and not acknowledged.
    unfinished: Vec<Delivery>,
}

impl KafkaSource {
    /// A reader of a group; that the brokers are away is no error yet.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn new(kafka: &Kafka, group: Group) -> Result<Self, StreamError> {
        let consumer: StreamConsumer = kafka
            .config()
            .set("group.id", kafka.group(group))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", SILENT_MS)
            .set("topic.metadata.refresh.interval.ms", "5000")
            .create()?;
        let topics: Vec<String> = group.topics().iter().map(|topic| kafka.topic(topic)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Self { consumer, group, prefix: kafka.prefix.clone(), unfinished: Vec::new() })
    }

    /// The next fact; `None` when there is none within this time, or its topic is not there yet.
    async fn next(&self, longest: Duration) -> Result<Option<Delivery>, StreamError> {
        let message = match tokio::time::timeout(longest, self.consumer.recv()).await {
            Err(_)
            | Ok(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
            ))) => return Ok(None),
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(message)) => message,
        };
        let topic = message.topic().strip_prefix(&self.prefix).unwrap_or(message.topic());
        let text = String::from_utf8_lossy(message.payload().unwrap_or_default());
        let id = format!("{}/{}", message.partition(), message.offset());
        Ok(Some(Delivery::of(topic, id, &text)))
    }

    fn commit(&self, facts: &[Delivery]) -> Result<(), StreamError> {
        let mut after: HashMap<(String, i32), i64> = HashMap::new();
        for fact in facts {
            let place = fact.id.split_once('/').and_then(|(partition, offset)| {
                Some((partition.parse::<i32>().ok()?, offset.parse::<i64>().ok()?))
            });
            let Some((partition, offset)) = place else { continue };
            let next = after.entry((format!("{}{}", self.prefix, fact.topic), partition)).or_default();
            *next = (*next).max(offset + 1);
        }
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), next) in after {
            offsets.add_partition_offset(&topic, partition, Offset::Offset(next))?;
        }
        // What gets lost on the way is handed out once more.
        Ok(self.consumer.commit(&offsets, CommitMode::Async)?)
    }
}

impl Source for KafkaSource {
    fn group(&self) -> Group {
        self.group
    }

    fn read(&mut self, at_most: usize) -> BoxFuture<'_, Result<Vec<Delivery>, StreamError>> {
        async move {
            // What came before a failure stays to be handed out.
            while self.unfinished.len() < at_most {
                let longest = if self.unfinished.is_empty() { FIRST } else { FURTHER };
                match self.next(longest).await? {
                    Some(fact) => self.unfinished.push(fact),
                    None => break,
                }
            }
            Ok(self.unfinished.clone())
        }
        .boxed()
    }

    fn acknowledge<'a>(&'a mut self, facts: &'a [Delivery]) -> BoxFuture<'a, Result<(), StreamError>> {
        async move {
            let is_told =
                |one: &Delivery| facts.iter().any(|fact| fact.topic == one.topic && fact.id == one.id);
            self.unfinished.retain(|one| !is_told(one));
            if facts.is_empty() { Ok(()) } else { self.commit(facts) }
        }
        .boxed()
    }
}
