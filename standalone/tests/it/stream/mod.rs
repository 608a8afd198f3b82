//! The event stream: from the outbox over the broker to what follows from facts.

mod consumers;
mod figures;
#[cfg(feature = "kafka")]
mod kafka;
mod notifications;
mod relay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::streams::StreamRangeReply;
use serde_json::Value;
use shared::domain::EventId;
use shared::store::Store;
use shared::stream::{Broker, Relay};
use standalone::settings::Settings;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::consumers::analytics::Analytics;
use worker::consumers::audit::Audit;
use worker::consumers::{Consumer, run_consumer};

use crate::lab::Lab;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Tells facts of one topic as the store does, in a transaction of their own.
async fn tell(store: &Store, event: EventId, topic: &str, facts: &[Value]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with counter as (
             insert into outbox_counters (event_id, last) values ($1, $3)
             on conflict (event_id) do update set last = outbox_counters.last + excluded.last
             returning last
         )
         insert into outbox (event_id, seq, topic, facts) select $1, last - $3 + 1, $2, $4::json from counter",
    )
    .bind(event.0)
    .bind(topic)
    .bind(i64::try_from(facts.len()).unwrap_or(0))
    .bind(Value::from(facts.to_vec()).to_string())
    .execute(store.pool())
    .await?;
    Ok(())
}

fn broker(lab: &Lab, words: &[&str]) -> Fallible<Broker> {
    let settings = Settings::from_words(words.iter().copied())?;
    Ok(Broker::new(lab.system.queue.clone(), settings.services.stream)?)
}

fn relay(lab: &Lab, broker: &Broker, name: &str) -> Fallible<Relay> {
    Ok(Relay::new(lab.store().clone(), broker.sink()?, name.to_owned()))
}

/// Relays until nothing is left to send, or what is left is held up.
async fn relay_all(relay: &Relay) -> Fallible<usize> {
    let (mut sent, mut idle) = (0, 0);
    while idle < 3 {
        let relayed = relay.run_once().await?;
        sent += relayed.sent;
        idle = if relayed.sent == 0 { idle + 1 } else { 0 };
    }
    Ok(sent)
}

/// Runs a consumer until the token is cancelled or the task is aborted.
fn start(lab: &Lab, broker: &Broker, consumer: Arc<dyn Consumer>, name: &str) -> Fallible<Running> {
    let source = broker.source(consumer.group(), name)?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(run_consumer(consumer, source, lab.store().clone(), stop.clone()));
    Ok(Running { stop, task })
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) -> Fallible<()> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await??;
        Ok(())
    }
}

fn analytics() -> Arc<dyn Consumer> {
    Arc::new(Analytics)
}

fn audit() -> Arc<dyn Consumer> {
    Arc::new(Audit)
}

/// The numbers that stand in the stream of a topic, in its order, by event.
async fn in_stream(lab: &Lab, topic: &str) -> Fallible<BTreeMap<i64, Vec<i64>>> {
    let reply: StreamRangeReply = redis::cmd("XRANGE")
        .arg(lab.system.queue.keys().stream(topic))
        .arg("-")
        .arg("+")
        .query_async(&mut lab.system.queue.connection())
        .await?;
    let mut seqs: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for entry in reply.ids {
        let text: String = entry.get("envelope").ok_or("an envelope")?;
        let envelope: Value = serde_json::from_str(&text)?;
        assert_eq!(envelope["topic"], topic);
        assert_eq!(envelope["id"], format!("{}-{}", envelope["eventId"], envelope["seq"]));
        let event = envelope["eventId"].as_i64().ok_or("an event")?;
        seqs.entry(event).or_default().push(envelope["seq"].as_i64().ok_or("a number")?);
    }
    Ok(seqs)
}

/// A sum over all minutes of an event's figures.
async fn counted(lab: &Lab, event: EventId, column: &str) -> i64 {
    let sql = format!("select coalesce(sum({column}), 0)::bigint from event_figures where event_id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await
        .unwrap_or(-1)
}
