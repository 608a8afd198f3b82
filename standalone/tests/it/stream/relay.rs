//! The relay: in order, at least once, whatever dies or goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, try_join_all};
use serde_json::{Value, json};
use shared::stream::{Appended, Envelope, Relay, Sink, StreamError};
use standalone::settings::Part;
use tokio::sync::Notify;

use super::{analytics, audit, broker, counted, in_stream, relay, relay_all, start, tell};
use crate::lab::{EventPlan, Lab, TestResult, eventually, make_event};

fn booking() -> Value {
    json!({"bookingId": "00000000-0000-7000-8000-000000000001", "userId": 1})
}

#[tokio::test]
async fn facts_of_an_event_are_sent_in_order_by_two_relays_while_many_write() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &[])?;
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(make_event(lab.store(), &EventPlan::hall(1, 1)).await?.0);
    }
    let (store, done) = (lab.store(), AtomicBool::new(false));
    let writing = async {
        let writers = (0..8).map(|nth| {
            let events = &events;
            async move {
                for turn in 0..40 {
                    let event = events[(nth + turn) % events.len()];
                    let topic = if (nth + turn) % 2 == 0 { "booking.created" } else { "seat.selected" };
                    tell(store, event, topic, &vec![booking(); 1 + turn % 3]).await?;
                }
                Ok::<_, sqlx::Error>(())
            }
        });
        let written = try_join_all(writers).await;
        done.store(true, Ordering::Relaxed);
        written
    };
    let relays = [relay(&lab, &broker, "one")?, relay(&lab, &broker, "two")?];
    let relaying = join_all(relays.iter().map(|relay| async {
        while !done.load(Ordering::Relaxed) || relay.depth().await.is_ok_and(|depth| depth.unsent > 0) {
            let relayed = relay.run_once().await;
            assert!(relayed.is_ok(), "{relayed:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }));
    let (written, _) = tokio::join!(writing, relaying);
    written?;
    let mut sent = 0;
    for topic in ["booking.created", "seat.selected"] {
        for (event, seqs) in in_stream(&lab, topic).await? {
            assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{topic} of {event}: {seqs:?}");
            sent += seqs.len();
        }
    }
    let told: i64 =
        sqlx::query_scalar("select sum(last)::bigint from outbox_counters").fetch_one(store.pool()).await?;
    assert_eq!(i64::try_from(sent)?, told, "each fact, and as nobody died, once");
    Ok(())
}

/// Sends, and never comes back from it.
struct Mortal {
    sink: Arc<dyn Sink>,
    sent: Arc<Notify>,
}

impl Sink for Mortal {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        run: &'a str,
        facts: &'a [Envelope],
    ) -> BoxFuture<'a, Result<Appended, StreamError>> {
        async move {
            match self.sink.append(topic, run, facts).await? {
                Appended::Done => {
                    self.sent.notify_one();
                    std::future::pending().await
                }
                other @ (Appended::Anew(_) | Appended::Behind) => Ok(other),
            }
        }
        .boxed()
    }

    fn begin<'a>(&'a self, topic: &'a str, run: &'a str) -> BoxFuture<'a, Result<(), StreamError>> {
        self.sink.begin(topic, run)
    }
}

#[tokio::test]
async fn what_a_relay_sent_before_it_died_is_sent_again_and_counts_once() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &[])?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    tell(lab.store(), event, "booking.created", &vec![booking(); 30]).await?;
    let sent = Arc::new(Notify::new());
    let mortal = Mortal { sink: broker.sink()?, sent: Arc::clone(&sent) };
    let mortal = Relay::new(lab.store().clone(), Arc::new(mortal), "one".to_owned());
    assert_eq!(mortal.run_once().await?.held_up, 1, "the topic is new");
    let task = tokio::spawn(async move { mortal.run_once().await.is_ok() });
    sent.notified().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    let next = relay(&lab, &broker, "two")?;
    assert_eq!(relay_all(&next).await?, 0, "while the lease of the dead one lasts, nobody else sends");
    let ended =
        sqlx::query("update outbox_relays set leased_until = clock_timestamp() where relay is not null")
            .execute(lab.store().pool())
            .await?;
    assert_eq!(ended.rows_affected(), 1);
    assert_eq!(relay_all(&next).await?, 30);
    assert_eq!(in_stream(&lab, "booking.created").await?[&event.0].len(), 60, "told twice");
    let consumer = start(&lab, &broker, analytics(), "a")?;
    tell(lab.store(), event, "booking.created", &[booking()]).await?;
    relay_all(&next).await?;
    eventually("all is counted", async || counted(&lab, event, "bookings").await >= 31).await;
    assert_eq!(counted(&lab, event, "bookings").await, 31);
    consumer.stop().await
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_gets_what_no_group_has_handled() -> TestResult {
    let mut lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &[])?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let one = relay(&lab, &broker, "one")?;
    tell(lab.store(), event, "booking.created", &vec![booking(); 100]).await?;
    relay_all(&one).await?;
    for consumer in [analytics(), audit()] {
        let group = consumer.group().name();
        let running = start(&lab, &broker, consumer, "a")?;
        eventually("the first are handled", async || {
            sqlx::query_scalar::<_, i64>(
                "select seq from stream_marks where grp = $1 and topic = 'booking.created'",
            )
            .bind(group)
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|seq| seq == 100)
        })
        .await;
        running.stop().await?;
    }
    // As if it were long ago: only what no group has handled is left to tell.
    tell(lab.store(), event, "booking.created", &vec![booking(); 200]).await?;
    relay_all(&one).await?;
    sqlx::query("update outbox set created_at = created_at - interval '10 minutes'")
        .execute(lab.store().pool())
        .await?;
    lab.servers.redis.kill();
    lab.servers.redis.restart_empty().await?;
    // A relay that knows nothing yet and one that knows another run than there is.
    let two = relay(&lab, &broker, "two")?;
    tell(lab.store(), event, "booking.created", &vec![booking(); 50]).await?;
    eventually("everything is sent", async || {
        let _ = (two.run_once().await, one.run_once().await);
        one.depth().await.is_ok_and(|depth| depth.unsent == 0)
    })
    .await;
    let seqs = in_stream(&lab, "booking.created").await?.remove(&event.0).unwrap_or_default();
    assert_eq!(seqs, (101..=350).collect::<Vec<i64>>(), "what was handled is not sent again");
    let consumer = start(&lab, &broker, analytics(), "b")?;
    eventually("all is counted", async || counted(&lab, event, "bookings").await >= 350).await;
    assert_eq!(counted(&lab, event, "bookings").await, 350);
    consumer.stop().await
}

#[tokio::test]
async fn while_redis_is_away_the_outbox_grows_and_then_drains() -> TestResult {
    let mut lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    tell(lab.store(), event, "booking.created", &vec![booking(); 100]).await?;
    eventually("the first are counted", async || counted(&lab, event, "bookings").await == 100).await;
    lab.servers.redis.kill();
    for _ in 0..40 {
        tell(lab.store(), event, "booking.created", &vec![booking(); 250]).await?;
    }
    let broker = broker(&lab, &[])?;
    let watching = relay(&lab, &broker, "nobody")?;
    let depth = watching.depth().await?;
    assert!(depth.unsent >= 10_000 - 250, "the outbox keeps them: {depth:?}");
    lab.servers.redis.restart().await?;
    eventually("the outbox is empty", async || watching.depth().await.is_ok_and(|depth| depth.unsent == 0))
        .await;
    eventually("all is counted", async || counted(&lab, event, "bookings").await >= 10_100).await;
    assert_eq!(counted(&lab, event, "bookings").await, 10_100);
    Ok(())
}

#[tokio::test]
async fn what_a_slow_group_would_lose_stays_in_the_outbox() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &["--stream-keep=1000"])?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    for _ in 0..15 {
        tell(lab.store(), event, "booking.created", &vec![booking(); 200]).await?;
    }
    let relay = relay(&lab, &broker, "one")?;
    assert_eq!(relay_all(&relay).await?, 1_000, "no more than Redis keeps while nobody reads");
    let running = [start(&lab, &broker, analytics(), "a")?, start(&lab, &broker, audit(), "a")?];
    eventually("everything is handled", async || {
        let _ = relay.run_once().await;
        counted(&lab, event, "bookings").await >= 3_000
    })
    .await;
    assert_eq!(counted(&lab, event, "bookings").await, 3_000);
    eventually("everything is written down", async || {
        sqlx::query_scalar::<_, i64>("select count(*) from audit_log where action = 'booking.created'")
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|lines| lines == 3_000)
    })
    .await;
    let length: usize = redis::cmd("XLEN")
        .arg(lab.system.queue.keys().stream("booking.created"))
        .query_async(&mut lab.system.queue.connection())
        .await?;
    assert!(length < 1_500, "the stream is cut: {length}");
    for one in running {
        one.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn facts_that_were_sent_are_forgotten_after_two_days_and_others_never() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let broker = broker(&lab, &[])?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    tell(lab.store(), event, "booking.created", &[booking()]).await?;
    relay_all(&relay(&lab, &broker, "one")?).await?;
    tell(lab.store(), event, "booking.created", &[booking()]).await?;
    assert_eq!(lab.store().forget_sent(100).await?, 0, "not yet");
    sqlx::query("update outbox set created_at = created_at - interval '3 days'")
        .execute(lab.store().pool())
        .await?;
    assert_eq!(lab.store().forget_sent(100).await?, 1);
    let left: Vec<i64> = sqlx::query_scalar("select seq from outbox").fetch_all(lab.store().pool()).await?;
    assert_eq!(left, [2], "what was not sent stays");
    Ok(())
}
