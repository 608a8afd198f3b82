//! From the outbox over Kafka to what follows, at the mock cluster that comes with librdkafka: it speaks Kafka's protocol
//! on sockets, and fails when it is told to.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;
use shared::domain::EventId;
use shared::stream::{Broker, Group, Relay};
use standalone::settings::Part;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use worker::consumers::run_consumer;

use super::consumers::{Stuck, Unfinished};
use super::{Fallible, Running, analytics, audit, broker, counted, relay, relay_all, start, tell};
use crate::lab::{EventPlan, Lab, PATIENCE, TestResult, eventually, eventually_within, make_event};

type Mock = MockCluster<'static, DefaultProducerContext>;

/// Consumers whose broker was away come back to it by themselves, and then join their group anew.
const FOLLOWING: Duration = Duration::from_mins(5);
const TOPIC: &str = "booking.created";
/// All brokers of the mock.
const ALL: i32 = -1;
const REFUSAL: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

/// Three brokers with all topics, which the mock lets nobody make, and the way to them.
fn cluster(lab: &Lab) -> Fallible<(Mock, Broker)> {
    let mock = Mock::new(3)?;
    let mut topics: Vec<&str> = Group::ALL.iter().flat_map(|group| group.topics()).copied().collect();
    topics.sort_unstable();
    topics.dedup();
    for topic in topics {
        mock.create_topic(&format!("usher.{topic}"), 4, 3)?;
    }
    let brokers = format!("--kafka-brokers={}", mock.bootstrap_servers());
    let broker = broker(lab, &[&brokers, "--kafka-prefix=usher."])?;
    assert_eq!(broker.kind(), "kafka");
    Ok((mock, broker))
}

async fn tell_bookings(lab: &Lab, event: EventId, count: usize) -> Result<(), sqlx::Error> {
    let booking = json!({"bookingId": "00000000-0000-7000-8000-000000000001", "userId": 1});
    tell(lab.store(), event, TOPIC, &vec![booking; count]).await
}

/// Lines that the consumer of the audit log has written.
async fn lines(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from audit_log where action = 'booking.created'")
        .fetch_one(lab.store().pool())
        .await
        .unwrap_or(-1)
}

/// Two consumers die while they handle a first part of what is there: the one of the audit log before its commit, the one of
/// the figures after it, before Kafka knows; how much that one has counted.
async fn kill_midway(lab: &Lab, broker: &Broker, event: EventId) -> Fallible<i64> {
    let (began, handled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stuck = Stuck { consumer: audit(), began: Arc::clone(&began) };
    let before = start(lab, broker, Arc::new(stuck), "a")?.task;
    let source = broker.source(Group::Analytics, "a")?;
    let source = Box::new(Unfinished { source, handled: Arc::clone(&handled) });
    let after =
        tokio::spawn(run_consumer(analytics(), source, lab.store().clone(), CancellationToken::new()));
    tokio::time::timeout(PATIENCE, async { tokio::join!(began.notified(), handled.notified()) }).await?;
    for dying in [before, after] {
        dying.abort();
        assert!(dying.await.is_err_and(|error| error.is_cancelled()));
    }
    assert_eq!(lines(lab).await, 0, "nothing was committed");
    Ok(counted(lab, event, "bookings").await)
}

/// So much has followed, once each.
async fn until_followed(lab: &Lab, event: EventId, facts: i64) {
    eventually_within(FOLLOWING, "what was told has followed", async || {
        counted(lab, event, "bookings").await >= facts && lines(lab).await >= facts
    })
    .await;
    assert_eq!((counted(lab, event, "bookings").await, lines(lab).await), (facts, facts), "once each");
}

async fn until_drained(relay: &Relay) {
    eventually("the outbox is empty", async || {
        let _ = relay.run_once().await;
        relay.depth().await.is_ok_and(|depth| depth.unsent == 0)
    })
    .await;
}

#[tokio::test]
async fn what_goes_over_kafka_follows_once_whoever_is_killed_and_whenever_brokers_refuse_or_are_away()
-> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let (cluster, broker) = cluster(&lab)?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let relay = relay(&lab, &broker, "one")?;

    tell_bookings(&lab, event, 1_200).await?;
    assert_eq!(relay_all(&relay).await?, 1_200);
    let part = kill_midway(&lab, &broker, event).await?;
    assert!((1..1_200).contains(&part), "a part of it was committed: {part}");
    let running: [Running; 2] =
        [start(&lab, &broker, audit(), "b")?, start(&lab, &broker, analytics(), "b")?];
    until_followed(&lab, event, 1_200).await;

    // It refuses for a while.
    cluster.request_errors(RDKafkaApiKey::Produce, &[REFUSAL; 2]);
    tell_bookings(&lab, event, 300).await?;
    assert!(relay.run_once().await.is_err(), "it is told");
    tell_bookings(&lab, event, 100).await?;
    assert_eq!(relay.depth().await?.unsent, 400, "the outbox keeps them");
    until_drained(&relay).await;
    until_followed(&lab, event, 1_600).await;

    // It is away for a while, and the relay tries on.
    cluster.broker_down(ALL)?;
    tell_bookings(&lab, event, 100).await?;
    let growing = async {
        for told in 1..=4 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(relay.depth().await?.unsent, told * 100, "the outbox grows");
            tell_bookings(&lab, event, 100).await?;
        }
        cluster.broker_up(ALL)?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    let (grown, ()) = tokio::join!(growing, until_drained(&relay));
    grown?;
    until_followed(&lab, event, 2_100).await;
    for one in running {
        one.stop().await?;
    }
    Ok(())
}
