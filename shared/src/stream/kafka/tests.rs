//! Against the mock cluster that comes with librdkafka: it speaks Kafka's protocol on sockets.

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::value::RawValue;

use super::{Kafka, KafkaSink, KafkaSource};
use crate::domain::EventId;
use crate::stream::{Appended, Delivery, Envelope, Group, Sink as _, Source as _};

type Mock = MockCluster<'static, DefaultProducerContext>;
type TestResult = Result<(), Box<dyn std::error::Error>>;

const TOPIC: &str = "booking.created";

fn fact(event: i64, seq: i64) -> Envelope {
    Envelope {
        id: format!("{event}-{seq}"),
        topic: TOPIC.to_owned(),
        event_id: EventId(event),
        seq,
        at: "2026-11-20T12:00:00.000Z".to_owned(),
        fact: RawValue::from_string("{}".to_owned()).expect("an object"),
    }
}

/// The mock cluster, or nothing where a broker of its own was started for the tests; and how to reach it. Names are such
/// that no test meets another one's facts.
async fn cluster() -> Result<(Option<Mock>, Kafka), Box<dyn std::error::Error>> {
    let prefix = format!("test{:08x}.", rand::random::<u32>());
    let mut topics: Vec<&str> = Group::ALL.iter().flat_map(|group| group.topics()).copied().collect();
    topics.sort_unstable();
    topics.dedup();
    if let Ok(brokers) = std::env::var("TEST_KAFKA_BROKERS") {
        let kafka = Kafka { brokers, prefix, partitions: 4 };
        let sink = KafkaSink::new(kafka.clone())?;
        for topic in topics {
            sink.begin(topic, "kafka").await?;
        }
        return Ok((None, kafka));
    }
    let mock = Mock::new(3)?;
    for topic in topics {
        mock.create_topic(&format!("{prefix}{topic}"), 4, 3)?;
    }
    let kafka = Kafka { brokers: mock.bootstrap_servers(), prefix, partitions: 4 };
    Ok((Some(mock), kafka))
}

/// Reads until so many are there, acknowledging each part or not.
async fn read(
    source: &mut KafkaSource,
    count: usize,
    is_acknowledged: bool,
) -> Result<Vec<Delivery>, Box<dyn std::error::Error>> {
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut all = Vec::new();
    while all.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} facts came", all.len());
        let got = source.read(1_000).await?;
        if is_acknowledged {
            source.acknowledge(&got).await?;
            all.extend(got);
        } else {
            all = got;
        }
    }
    Ok(all)
}

fn seqs(facts: &[Delivery], event: i64) -> Vec<i64> {
    let known = facts.iter().filter_map(|fact| fact.fact.as_ref().ok());
    known.filter(|fact| fact.event_id == EventId(event)).map(|fact| fact.seq).collect()
}

#[tokio::test]
async fn facts_of_an_event_come_in_order_to_every_group() -> TestResult {
    let (_cluster, kafka) = cluster().await?;
    let sink = KafkaSink::new(kafka.clone())?;
    let facts: Vec<Envelope> = (1..=200).flat_map(|seq| (1..=5).map(move |event| fact(event, seq))).collect();
    assert_eq!(
        sink.append(TOPIC, "", &facts).await?,
        Appended::Anew("kafka".to_owned()),
        "nothing was sent before"
    );
    for part in facts.chunks(100) {
        assert_eq!(sink.append(TOPIC, "kafka.1", part).await?, Appended::Done);
    }
    let lags = kafka.lags().await?;
    let behind = |group| lags.iter().filter(|one| one.group == group).map(|one| one.lag.unread).sum::<u64>();
    assert_eq!((behind(Group::Audit), behind(Group::Notifications)), (1_000, 0));
    for group in [Group::Analytics, Group::Audit] {
        let mut source = KafkaSource::new(&kafka, group)?;
        let got = read(&mut source, 1_000, true).await?;
        assert_eq!(got[0].topic, TOPIC, "without the prefix");
        for event in 1..=5 {
            assert_eq!(seqs(&got, event), (1..=200).collect::<Vec<i64>>(), "event {event}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_reader_did_not_acknowledge_comes_again() -> TestResult {
    let (_cluster, kafka) = cluster().await?;
    let sink = KafkaSink::new(kafka.clone())?;
    let facts: Vec<Envelope> = (1..=20).map(|seq| fact(1, seq)).collect();
    sink.append(TOPIC, "kafka.1", &facts).await?;
    let mut first = KafkaSource::new(&kafka, Group::Analytics)?;
    let got = read(&mut first, 20, false).await?;
    assert_eq!(seqs(&first.read(1_000).await?, 1), (1..=20).collect::<Vec<i64>>(), "to the same reader");
    first.acknowledge(&got[..15]).await?;
    assert_eq!(seqs(&first.read(1_000).await?, 1), (16..=20).collect::<Vec<i64>>(), "only those");
    drop(first);
    let mut second = KafkaSource::new(&kafka, Group::Analytics)?;
    let again = seqs(&read(&mut second, 5, false).await?, 1);
    assert_eq!(again[again.len() - 5..], [16, 17, 18, 19, 20], "and to the next one: {again:?}");
    Ok(())
}

#[tokio::test]
async fn a_broker_that_refuses_for_a_while_gets_everything_in_order() -> TestResult {
    // Only a mock fails when it is told to.
    let (Some(cluster), kafka) = cluster().await? else { return Ok(()) };
    let sink = KafkaSink::new(kafka.clone())?;
    let facts: Vec<Envelope> = (1..=50).map(|seq| fact(1, seq)).collect();
    sink.append(TOPIC, "kafka.1", &facts[..10]).await?;
    // The first request fails for good, so that its producer ends; the next ones are served.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    assert!(sink.append(TOPIC, "kafka.1", &facts[10..30]).await.is_err(), "it is told");
    sink.append(TOPIC, "kafka.1", &facts[10..]).await?;
    let mut source = KafkaSource::new(&kafka, Group::Audit)?;
    let got = seqs(&read(&mut source, 50, true).await?, 1);
    let mut firsts: Vec<i64> = Vec::new();
    for seq in got {
        if !firsts.contains(&seq) {
            firsts.push(seq);
        }
    }
    assert_eq!(firsts, (1..=50).collect::<Vec<i64>>(), "in the order in which each comes first");
    Ok(())
}
