//! Settings of the event stream. A field's comment is its `--help`.

use clap::Args;

use crate::config::ConfigError;

/// The event stream.
#[derive(Debug, Clone, Args)]
pub struct StreamConfig {
    /// Facts of a topic that Redis keeps at least; the outbox keeps what a reader that is further behind would lose
    #[arg(long, env = "STREAM_KEEP", default_value_t = 100_000)]
    pub stream_keep: u64,
    /// Brokers of Kafka or Redpanda, as host:port with commas between; without them facts go to Redis Streams
    #[arg(long, env = "KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,
    /// First part of the names of topics and consumer groups in Kafka
    #[arg(long, env = "KAFKA_PREFIX", default_value = "")]
    pub kafka_prefix: String,
    /// Partitions of topics that Usher makes in Kafka; facts of one event are in one of them
    #[arg(long, env = "KAFKA_PARTITIONS", default_value_t = 8)]
    pub kafka_partitions: i32,
    /// Whether people get a message when seats are in their cart
    #[arg(long, env = "NOTIFY_RESERVED", default_value_t = true, action = clap::ArgAction::Set)]
    pub notify_reserved: bool,
    /// Whether people get a message when a reservation has run out
    #[arg(long, env = "NOTIFY_EXPIRED", default_value_t = true, action = clap::ArgAction::Set)]
    pub notify_expired: bool,
}

impl StreamConfig {
    /// The brokers of Kafka, if it is to be used.
    pub fn kafka(&self) -> Option<&str> {
        self.kafka_brokers.as_deref().map(str::trim).filter(|brokers| !brokers.is_empty())
    }

    /// Holds the settings against what they stand for, and against what this program was built with.
    ///
    /// # Errors
    /// One is out of its range, or Kafka is wanted and not built in.
    pub fn check(&self) -> Result<(), ConfigError> {
        let invalid = |text: &str| Err(ConfigError::Invalid(text.to_owned()));
        if !(1_000..=10_000_000).contains(&self.stream_keep) {
            return invalid("STREAM_KEEP must be between 1,000 and 10,000,000");
        }
        if !(1..=1_000).contains(&self.kafka_partitions) {
            return invalid("KAFKA_PARTITIONS must be between 1 and 1,000");
        }
        if self.kafka().is_some() && !cfg!(feature = "kafka") {
            return invalid("KAFKA_BROKERS is set, but this program was built without the feature `kafka`");
        }
        Ok(())
    }
}
