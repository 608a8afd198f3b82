//! Consumers: what follows from a fact follows once, whoever dies; what cannot be handled holds nobody up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::store::Consuming;
use shared::stream::redis::RedisSource;
use shared::stream::{Delivery, Envelope, Group, Source, StreamError};
use standalone::settings::Part;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use worker::consumers::{ConsumeError, Consumer, run_consumer};

use super::{analytics, broker, counted, relay, relay_all, start, tell};
use crate::lab::{EventPlan, Lab, TestResult, eventually, make_event};

fn seats(count: i64) -> Value {
    json!({"bookingId": "00000000-0000-7000-8000-000000000001", "userId": 1,
        "seatIds": (1..=count).collect::<Vec<i64>>()})
}

/// Readers that others take for dead after a moment.
fn hasty(lab: &Lab, group: Group, name: &str) -> Box<dyn Source> {
    let source = RedisSource::new(lab.system.queue.clone(), group, name.to_owned());
    Box::new(source.with_silence(Duration::from_millis(300)))
}

/// Never comes to acknowledge anything.
pub(super) struct Unfinished {
    pub(super) source: Box<dyn Source>,
    pub(super) handled: Arc<Notify>,
}

impl Source for Unfinished {
    fn group(&self) -> Group {
        self.source.group()
    }

    fn read(&mut self, at_most: usize) -> BoxFuture<'_, Result<Vec<Delivery>, StreamError>> {
        self.source.read(at_most)
    }

    fn acknowledge<'a>(&'a mut self, facts: &'a [Delivery]) -> BoxFuture<'a, Result<(), StreamError>> {
        async move {
            if facts.is_empty() {
                return Ok(());
            }
            self.handled.notify_one();
            std::future::pending().await
        }
        .boxed()
    }
}

/// Writes what follows, and never comes to the commit.
pub(super) struct Stuck {
    pub(super) consumer: Arc<dyn Consumer>,
    pub(super) began: Arc<Notify>,
}

impl Consumer for Stuck {
    fn group(&self) -> Group {
        self.consumer.group()
    }

    fn handle<'a>(
        &'a self,
        consuming: &'a mut Consuming,
        facts: &'a [&'a Envelope],
    ) -> BoxFuture<'a, Result<(), ConsumeError>> {
        async move {
            self.consumer.handle(consuming, facts).await?;
            self.began.notify_one();
            std::future::pending().await
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_consumer_killed_before_or_after_its_commit_loses_and_doubles_nothing() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &[])?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    for _ in 0..70 {
        tell(lab.store(), event, "seat.selected", &[seats(1), seats(2), seats(3)]).await?;
    }
    relay_all(&relay(&lab, &broker, "one")?).await?;

    let began = Arc::new(Notify::new());
    let stuck: Arc<dyn Consumer> = Arc::new(Stuck { consumer: analytics(), began: Arc::clone(&began) });
    let source = hasty(&lab, Group::Analytics, "stuck");
    let task = tokio::spawn(run_consumer(stuck, source, lab.store().clone(), CancellationToken::new()));
    began.notified().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(counted(&lab, event, "reserved").await, 0, "nothing was committed");

    let handled = Arc::new(Notify::new());
    let source = hasty(&lab, Group::Analytics, "unfinished");
    let source = Box::new(Unfinished { source, handled: Arc::clone(&handled) });
    let task = tokio::spawn(run_consumer(analytics(), source, lab.store().clone(), CancellationToken::new()));
    handled.notified().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(counted(&lab, event, "reserved").await, 420, "it was committed");

    let stop = CancellationToken::new();
    let source = hasty(&lab, Group::Analytics, "next");
    let task = tokio::spawn(run_consumer(analytics(), source, lab.store().clone(), stop.clone()));
    tell(lab.store(), event, "seat.selected", &[seats(5)]).await?;
    relay_all(&relay(&lab, &broker, "two")?).await?;
    eventually("the rest is counted", async || counted(&lab, event, "reserved").await >= 425).await;
    assert_eq!(counted(&lab, event, "reserved").await, 425);
    eventually("nothing is left unfinished", async || {
        let lag = lab.system.queue.stream_lag("seat.selected").await;
        lag.is_ok_and(|lag| lag.get("analytics").is_some_and(|one| (one.unread, one.pending) == (0, 0)))
    })
    .await;
    stop.cancel();
    task.await?;
    Ok(())
}

/// Notes what it was given.
#[derive(Default)]
struct Notebook {
    seen: Mutex<BTreeMap<i64, Vec<i64>>>,
}

impl Consumer for Notebook {
    fn group(&self) -> Group {
        Group::Audit
    }

    fn handle<'a>(
        &'a self,
        _consuming: &'a mut Consuming,
        facts: &'a [&'a Envelope],
    ) -> BoxFuture<'a, Result<(), ConsumeError>> {
        async move {
            let mut seen = self.seen.lock().map_err(|_| ConsumeError::Other("poisoned".to_owned()))?;
            for fact in facts {
                seen.entry(fact.event_id.0).or_default().push(fact.seq);
            }
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test]
async fn readers_of_a_group_share_its_facts_and_keep_the_order_of_each_event() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &[])?;
    let notebook = Arc::new(Notebook::default());
    let mut running = Vec::new();
    for name in ["a", "b", "c"] {
        running.push(start(&lab, &broker, Arc::clone(&notebook) as Arc<dyn Consumer>, name)?);
    }
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(make_event(lab.store(), &EventPlan::hall(1, 1)).await?.0);
    }
    let relay = relay(&lab, &broker, "one")?;
    for turn in 0..30 {
        for event in &events {
            tell(lab.store(), *event, "booking.created", &vec![seats(1); 1 + turn]).await?;
        }
        relay_all(&relay).await?;
    }
    let wanted: usize = (1..=30).sum();
    let is_there = || {
        let seen = notebook.seen.lock();
        seen.is_ok_and(|seen| seen.len() == 3 && seen.values().all(|seqs| seqs.len() >= wanted))
    };
    eventually("all is seen", async || is_there()).await;
    for one in running {
        one.stop().await?;
    }
    let seen = notebook.seen.lock().map_err(|_| "poisoned")?.clone();
    for (event, seqs) in seen {
        let all: Vec<i64> = (1..=i64::try_from(wanted)?).collect();
        assert_eq!(seqs, all, "event {event}: each once, in order");
    }
    Ok(())
}

#[tokio::test]
async fn a_fact_that_cannot_be_handled_is_put_aside_and_the_others_count() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let poison = json!({"bookingId": "00000000-0000-7000-8000-000000000001", "userId": 1, "seatIds": "all"});
    tell(lab.store(), event, "seat.selected", &[seats(1), poison, seats(2)]).await?;
    let () = redis::cmd("XADD")
        .arg(lab.system.queue.keys().stream("seat.selected"))
        .arg(&["*", "note", "somebody else was here"])
        .query_async(&mut lab.system.queue.connection())
        .await?;
    tell(lab.store(), event, "seat.selected", &[seats(4)]).await?;
    eventually("the others are counted", async || counted(&lab, event, "reserved").await == 7).await;
    let operator = lab.with_role(Role::Operator).await?;
    let mut stream = Value::Null;
    eventually("both stand aside", async || {
        let Ok((_, answer)) = operator.get("/api/admin/stream").await else { return false };
        stream = answer;
        let dead = stream["dead"]
            .as_array()
            .map_or(0, |dead| dead.iter().filter(|one| one["group"] == "analytics").count());
        dead == 2 && stream["outbox"]["unsent"] == 0
    })
    .await;
    let dead = stream["dead"].as_array().cloned().unwrap_or_default();
    let fact = dead.iter().find(|one| one["messageId"] == format!("{event}-2")).ok_or("the fact")?;
    assert!(fact["error"].as_str().is_some_and(|error| error.contains("does not say")), "{fact}");
    assert_eq!((&stream["broker"], &stream["brokerIsThere"]), (&json!("redis"), &json!(true)));
    let groups = stream["groups"].as_array().cloned().unwrap_or_default();
    let lag = groups.iter().find(|one| one["group"] == "analytics" && one["topic"] == "seat.selected");
    assert_eq!(lag.ok_or("the group")?["lag"], 0, "the group has gone on: {stream}");
    Ok(())
}
