//! Kafka or Redpanda: facts of an event have its id as their key, and so one partition and one order.

mod sink;
mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

pub use sink::KafkaSink;
pub use source::KafkaSource;

use super::{Group, GroupLag, StreamError};
use crate::queue::stream::Lag;

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where Kafka is, and what is called how there.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// As host:port with commas between.
    pub brokers: String,
    /// First part of the names of topics and groups.
    pub prefix: String,
    /// Of topics that are made here.
    pub partitions: i32,
}

impl From<KafkaError> for StreamError {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error.to_string())
    }
}

impl Kafka {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "usher");
        config
    }

    fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    fn group(&self, group: Group) -> String {
        format!("{}{}", self.prefix, group.name())
    }

    /// How far every group is behind, by what it has committed.
    ///
    /// # Errors
    /// Kafka is away.
    pub async fn lags(&self) -> Result<Vec<GroupLag>, StreamError> {
        let kafka = self.clone();
        // Its calls block.
        let lags = tokio::task::spawn_blocking(move || kafka.read_lags()).await;
        lags.map_err(|_| StreamError::Kafka("the question was given up".to_owned()))?
    }

    fn read_lags(&self) -> Result<Vec<GroupLag>, StreamError> {
        let mut lags = Vec::new();
        for group in Group::ALL {
            let consumer: BaseConsumer = self.config().set("group.id", self.group(group)).create()?;
            let metadata = consumer.fetch_metadata(None, PATIENCE)?;
            let partitions: HashMap<&str, usize> =
                metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
            for &topic in group.topics() {
                let name = self.topic(topic);
                let count = partitions.get(name.as_str()).copied().unwrap_or(0);
                let unread = lag_of(&consumer, &name, i32::try_from(count).unwrap_or(0))?;
                lags.push(GroupLag { group, topic, lag: Lag { unread, pending: 0 } });
            }
        }
        Ok(lags)
    }
}

fn lag_of(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Result<u64, KafkaError> {
    if partitions == 0 {
        return Ok(0);
    }
    let mut asked = TopicPartitionList::new();
    for partition in 0..partitions {
        asked.add_partition(topic, partition);
    }
    let mut unread = 0;
    for one in consumer.committed_offsets(asked, PATIENCE)?.elements() {
        let (low, high) = consumer.fetch_watermarks(topic, one.partition(), PATIENCE)?;
        let read = if let Offset::Offset(read) = one.offset() { read } else { low };
        unread += u64::try_from(high - read).unwrap_or(0);
    }
    Ok(unread)
}
