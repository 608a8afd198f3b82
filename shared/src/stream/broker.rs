//! What the settings say: Redis Streams, or Kafka.

use std::sync::Arc;

use super::config::StreamConfig;
#[cfg(feature = "kafka")]
use super::kafka::{Kafka, KafkaSink, KafkaSource};
use super::redis::{RedisSink, RedisSource};
use super::{Group, Sink, Source, StreamError};
use crate::config::ConfigError;
use crate::queue::Queue;
use crate::queue::stream::Lag;

/// The broker that the settings say; clones share it.
#[derive(Clone)]
pub struct Broker {
    queue: Queue,
    config: StreamConfig,
}

/// How far a group is behind on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLag {
    /// Which group.
    pub group: Group,
    /// Which topic.
    pub topic: &'static str,
    /// How far.
    pub lag: Lag,
}

impl Broker {
    /// Over these settings; nothing is opened yet.
    ///
    /// # Errors
    /// The settings make no sense, or Kafka is wanted and not built in.
    pub fn new(queue: Queue, config: StreamConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { queue, config })
    }

    /// `redis` or `kafka`.
    pub fn kind(&self) -> &'static str {
        if self.config.kafka().is_some() { "kafka" } else { "redis" }
    }

    #[cfg(feature = "kafka")]
    fn kafka(&self) -> Option<Kafka> {
        self.config.kafka().map(|brokers| Kafka {
            brokers: brokers.to_owned(),
            prefix: self.config.kafka_prefix.clone(),
            partitions: self.config.kafka_partitions,
        })
    }

    /// Where facts are sent.
    ///
    /// # Errors
    /// The settings of the broker make no sense; that it is away is no error yet.
    pub fn sink(&self) -> Result<Arc<dyn Sink>, StreamError> {
        #[cfg(feature = "kafka")]
        if let Some(kafka) = self.kafka() {
            return Ok(Arc::new(KafkaSink::new(kafka)?));
        }
        Ok(Arc::new(RedisSink::new(self.queue.clone(), self.config.stream_keep)))
    }

    /// Where a group reads, under the name of a reader that nobody else has.
    ///
    /// # Errors
    /// As [`Self::sink`].
    pub fn source(&self, group: Group, reader: &str) -> Result<Box<dyn Source>, StreamError> {
        #[cfg(feature = "kafka")]
        if let Some(kafka) = self.kafka() {
            return Ok(Box::new(KafkaSource::new(&kafka, group)?));
        }
        Ok(Box::new(RedisSource::new(self.queue.clone(), group, reader.to_owned())))
    }

    /// How far every group is behind.
    ///
    /// # Errors
    /// The broker is away.
    pub async fn lags(&self) -> Result<Vec<GroupLag>, StreamError> {
        #[cfg(feature = "kafka")]
        if let Some(kafka) = self.kafka() {
            return kafka.lags().await;
        }
        let mut lags = Vec::new();
        for group in Group::ALL {
            for &topic in group.topics() {
                let known = self.queue.stream_lag(topic).await?;
                let lag = known.get(group.name()).copied().unwrap_or_default();
                lags.push(GroupLag { group, topic, lag });
            }
        }
        Ok(lags)
    }
}
