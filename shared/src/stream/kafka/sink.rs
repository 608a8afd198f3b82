//! Sending to Kafka.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;

use super::Kafka;
use crate::stream::{Appended, Envelope, Sink, StreamError};

/// The one run of Kafka: it does not forget what it has acknowledged.
const RUN: &str = "kafka";
/// After this time a send has failed. Shorter than the lease of the relay.
const SEND_MS: &str = "10000";
const MAKE_TOPIC: Duration = Duration::from_secs(5);

/// A producer of Kafka.
pub struct KafkaSink {
    kafka: Kafka,
    /// It is made anew after a failure, with its number, so that whoever failed with an earlier one leaves the new one be.
    producer: Mutex<(u64, FutureProducer)>,
}

fn producer(kafka: &Kafka) -> Result<FutureProducer, KafkaError> {
    kafka
        .config()
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // A fact is never there without those before it: a message that fails ends its producer.
        .set("enable.gapless.guarantee", "true")
        .set("message.timeout.ms", SEND_MS)
        .set("linger.ms", "5")
        .create()
}

impl KafkaSink {
    /// A producer for these brokers; that they are away is no error yet.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn new(kafka: Kafka) -> Result<Self, StreamError> {
        let producer = Mutex::new((0, producer(&kafka)?));
        Ok(Self { kafka, producer })
    }

    async fn append_all(&self, topic: &str, facts: &[Envelope]) -> Result<(), StreamError> {
        let (nth, producer) = {
            let current = self.producer.lock();
            (current.0, current.1.clone())
        };
        let sent = send_all(&producer, &self.kafka.topic(topic), facts).await;
        if sent.is_err() {
            self.renew(nth)?;
        }
        sent
    }

    /// What the failed producer still has in hand is dropped: it is sent once more, in order, by the next one.
    fn renew(&self, failed: u64) -> Result<(), StreamError> {
        let mut current = self.producer.lock();
        if current.0 == failed {
            current.1.purge(PurgeConfig::default().queue().inflight().non_blocking());
            *current = (failed + 1, producer(&self.kafka)?);
        }
        Ok(())
    }

    /// Makes a topic; where brokers do not let us, they make it themselves or somebody else has.
    async fn make_topic(&self, topic: &str) -> Result<(), StreamError> {
        let name = self.kafka.topic(topic);
        let admin: AdminClient<DefaultClientContext> = self.kafka.config().create()?;
        let new = NewTopic::new(&name, self.kafka.partitions, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().request_timeout(Some(MAKE_TOPIC));
        match admin.create_topics([&new], &options).await.map(|made| made.into_iter().next()) {
            Ok(Some(Err((_, error)))) if error != RDKafkaErrorCode::TopicAlreadyExists => {
                tracing::warn!(topic, error = %error, "topic was not made; the broker may make it itself");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(topic, error = %error, "topic was not made; the broker may make it itself");
            }
        }
        Ok(())
    }
}

async fn send_all(producer: &FutureProducer, topic: &str, facts: &[Envelope]) -> Result<(), StreamError> {
    let mut sending = Vec::with_capacity(facts.len());
    for fact in facts {
        let (key, payload) = (fact.event_id.to_string(), fact.to_json());
        let record = FutureRecord::to(topic).key(&key).payload(&payload);
        sending.push(producer.send_result(record).map_err(|(error, _)| error)?);
    }
    for one in sending {
        let told = one.await.map_err(|_| StreamError::Kafka("the producer has ended".to_owned()))?;
        told.map_err(|(error, _)| error)?;
    }
    Ok(())
}

impl Sink for KafkaSink {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        run: &'a str,
        facts: &'a [Envelope],
    ) -> BoxFuture<'a, Result<Appended, StreamError>> {
        async move {
            if run.split('.').next() != Some(RUN) {
                return Ok(Appended::Anew(RUN.to_owned()));
            }
            self.append_all(topic, facts).await?;
            Ok(Appended::Done)
        }
        .boxed()
    }

    fn begin<'a>(&'a self, topic: &'a str, _run: &'a str) -> BoxFuture<'a, Result<(), StreamError>> {
        self.make_topic(topic).boxed()
    }
}
