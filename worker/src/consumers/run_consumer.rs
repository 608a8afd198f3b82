//! Reads for a group and handles what it reads.
//!
//! Each part is handled in one transaction with the note that it is, and acknowledged after the commit: whoever dies in
//! between leaves facts that are handed out once more, found handled, and acknowledged. When a part fails, its facts are
//! tried one by one; one that fails by itself, again and again, is put aside, and the others go on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use shared::rush::Patience;
use shared::store::{NewDead, ROUND, STATEMENT, Store, StoreError, in_time};
use shared::stream::{Delivery, Envelope, Source};
use shared::telemetry::chain;
use tokio_util::sync::CancellationToken;

use super::{ConsumeError, Consumer};

/// Facts of a topic read at once.
const PART: usize = 500;
/// When there was nothing to read.
const IDLE: Duration = Duration::from_millis(250);
/// After a fault of a store or the broker, doubled up to the longest.
const REST: Duration = Duration::from_millis(200);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Times that a fact which fails by itself is tried.
const TRIES: u32 = 3;

/// Shutting down: what is not handled stays with the broker.
struct Stopped;

struct Runner {
    consumer: Arc<dyn Consumer>,
    store: Store,
    shutdown: CancellationToken,
}

/// Reads and handles until `shutdown`.
pub async fn run_consumer(
    consumer: Arc<dyn Consumer>,
    mut source: Box<dyn Source>,
    store: Store,
    shutdown: CancellationToken,
) {
    let group = consumer.group().name();
    let runner = Runner { consumer, store, shutdown };
    let (mut rest, mut patience) = (REST, Patience::default());
    while !runner.shutdown.is_cancelled() {
        if runner.shutdown.run_until_cancelled(patience.let_pass()).await.is_none() {
            break;
        }
        let facts = match source.read(PART).await {
            Ok(facts) => facts,
            Err(error) => {
                if rest == REST {
                    tracing::warn!(group, error = chain(&error), "nothing can be read; the broker keeps it");
                }
                runner.sleep(rest).await;
                rest = (rest * 2).min(LONGEST_REST);
                continue;
            }
        };
        rest = REST;
        if runner.handle_all(&facts).await.is_err() {
            break;
        }
        if let Err(error) = source.acknowledge(&facts).await {
            tracing::debug!(group, error = chain(&error), "handled facts are handed out once more");
        }
        let has_more = runner.work().await;
        if facts.is_empty() && !has_more {
            runner.sleep(IDLE).await;
        }
    }
}

impl Runner {
    async fn sleep(&self, time: Duration) {
        let _ = self.shutdown.run_until_cancelled(tokio::time::sleep(time)).await;
    }

    /// What else there is to do; whether there is more.
    async fn work(&self) -> bool {
        match in_time(ROUND, self.consumer.work(&self.store)).await {
            Ok(has_more) => has_more,
            Err(error) => {
                tracing::warn!(group = self.consumer.group().name(), error = chain(&error), "work must wait");
                false
            }
        }
    }

    /// Handles everything, topic by topic.
    async fn handle_all(&self, facts: &[Delivery]) -> Result<(), Stopped> {
        for part in facts.chunk_by(|one, next| one.topic == next.topic) {
            let known: Vec<&Envelope> = part.iter().filter_map(|one| one.fact.as_ref().ok()).collect();
            for one in part {
                if let Err(text) = &one.fact {
                    self.bury_nonsense(one, text).await?;
                }
            }
            self.handle_part(&part[0].topic, &known).await?;
            let counter =
                metrics::counter!("usher_stream_handled_total", "group" => self.consumer.group().name());
            counter.increment(part.len() as u64);
        }
        Ok(())
    }

    /// All at once, and when that fails one by one.
    async fn handle_part(&self, topic: &str, facts: &[&Envelope]) -> Result<(), Stopped> {
        let Err(error) = self.until_answered(topic, facts).await? else { return Ok(()) };
        tracing::warn!(
            group = self.consumer.group().name(),
            topic,
            error = chain(&error),
            "facts were not handled together; they are tried one by one"
        );
        for fact in facts {
            self.handle_one(topic, fact).await?;
        }
        Ok(())
    }

    async fn handle_one(&self, topic: &str, fact: &Envelope) -> Result<(), Stopped> {
        let mut rest = REST;
        for nth in 1..=TRIES {
            let Err(error) = self.until_answered(topic, &[fact]).await? else { return Ok(()) };
            if nth == TRIES {
                let dead = NewDead {
                    group: self.consumer.group().name(),
                    topic,
                    message_id: &fact.id,
                    fact: Some((fact.event_id, fact.seq)),
                    message: &fact.to_json(),
                    error: &chain(&error),
                };
                return self.bury(&dead).await;
            }
            self.sleep(rest).await;
            rest *= 2;
        }
        Ok(())
    }

    async fn bury_nonsense(&self, one: &Delivery, text: &str) -> Result<(), Stopped> {
        let error = if text.is_empty() { "it was cut off before it was read" } else { "it is no fact" };
        let dead = NewDead {
            group: self.consumer.group().name(),
            topic: &one.topic,
            message_id: &one.id,
            fact: None,
            message: text,
            error,
        };
        self.bury(&dead).await
    }

    async fn bury(&self, dead: &NewDead<'_>) -> Result<(), Stopped> {
        metrics::counter!("usher_stream_dead_total", "group" => dead.group).increment(1);
        tracing::error!(
            group = dead.group,
            topic = dead.topic,
            message.id = dead.message_id,
            error = dead.error,
            "a fact could not be handled and is put aside"
        );
        let mut rest = REST;
        while let Err(error) = in_time(STATEMENT, self.store.bury(dead)).await {
            self.wait_for_store(&error, &mut rest).await?;
        }
        Ok(())
    }

    /// Handles facts, as soon as PostgreSQL answers; then how it went. Many that are not done in time are too many.
    async fn until_answered(
        &self,
        topic: &str,
        facts: &[&Envelope],
    ) -> Result<Result<(), ConsumeError>, Stopped> {
        let mut rest = REST;
        loop {
            match in_time(ROUND, self.handle(topic, facts)).await {
                Err(ConsumeError::Store(StoreError::Late(_))) if facts.len() > 1 && rest > REST => {
                    return Ok(Err(StoreError::Late(ROUND).into()));
                }
                Err(ConsumeError::Store(error)) if error.is_passing() => {
                    self.wait_for_store(&error, &mut rest).await?;
                }
                answer => return Ok(answer),
            }
        }
    }

    async fn wait_for_store(&self, error: &StoreError, rest: &mut Duration) -> Result<(), Stopped> {
        if *rest == REST {
            tracing::warn!(
                group = self.consumer.group().name(),
                error = chain(error),
                "facts wait until PostgreSQL can be written to"
            );
        }
        self.sleep(*rest).await;
        *rest = (*rest * 2).min(LONGEST_REST);
        if self.shutdown.is_cancelled() { Err(Stopped) } else { Ok(()) }
    }

    async fn handle(&self, topic: &str, facts: &[&Envelope]) -> Result<(), ConsumeError> {
        if facts.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = facts.iter().map(|fact| fact.event_id).collect();
        let mut consuming = self.store.begin_consuming(self.consumer.group().name(), topic, &events).await?;
        let new: Vec<&Envelope> =
            facts.iter().copied().filter(|fact| consuming.is_new(fact.event_id, fact.seq)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let handling = AssertUnwindSafe(self.consumer.handle(&mut consuming, &new)).catch_unwind();
        handling.await.unwrap_or_else(|_| Err(ConsumeError::Other("its consumer panicked".to_owned())))?;
        Ok(consuming.commit().await?)
    }
}
