//! A PostgreSQL whose machine vanishes: connections stay open, and nothing is heard on them any more.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::domain::EventId;
use shared::shop::Catalogue;
use shared::store::{Store, StoreError, in_time};
use sqlx::{Connection as _, PgConnection};
use standalone::servers::scratch;
use standalone::settings::Settings;

use super::queue_up;
use crate::lab::{
    End, EventPlan, Lab, Passage, TestResult, assert_invariants, eventually, eventually_within, make_event,
};

async fn is_under_way(watcher: &mut PgConnection, statement: &str) -> bool {
    let found = "select exists (select from pg_stat_activity where query = $1 and state = 'active')";
    sqlx::query_scalar(found).bind(statement).fetch_one(watcher).await.unwrap_or(false)
}

#[tokio::test]
async fn a_statement_that_is_never_answered_is_given_up_and_its_connection_made_anew() -> TestResult {
    let servers = scratch().await?;
    let passage = Passage::to(End::Socket(servers.postgres.socket())).await?;
    let url = format!("--database-url=postgres://usher@127.0.0.1:{}/usher", passage.port());
    let settings = Settings::from_words([url.as_str(), "--database-max-connections=1"])?;
    let store = Store::connect(&settings.store).await?;
    let mut watcher = PgConnection::connect(&servers.postgres.url()).await?;
    let statement = "select pg_sleep(4)";
    let asking = in_time(Duration::from_secs(2), async {
        Ok::<_, StoreError>(sqlx::query(statement).execute(store.pool()).await?)
    });
    let vanishing = async {
        eventually("it is under way", async || is_under_way(&mut watcher, statement).await).await;
        passage.silence();
    };
    let (answer, ()) = tokio::join!(asking, vanishing);
    let error = answer.err().ok_or("it was answered")?;
    assert!(matches!(error, StoreError::Late(_)) && error.is_passing(), "{error}");
    // The one connection there may be is still waited for, and then another one takes its place.
    eventually_within(Duration::from_mins(1), "there is a connection again", async || {
        store.ping().await.is_ok()
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn whoever_waits_for_an_event_that_another_one_could_not_read_does_not_try_as_long_again() -> TestResult
{
    let servers = scratch().await?;
    let passage = Passage::to(End::Socket(servers.postgres.socket())).await?;
    let url = format!("--database-url=postgres://usher@127.0.0.1:{}/usher", passage.port());
    let settings = Settings::from_words([url.as_str(), "--database-max-connections=1"])?;
    let store = Store::connect(&settings.store).await?;
    let catalogue = Catalogue::new(store);
    passage.silence();
    let asked = (0..20).map(|_| catalogue.event(EventId(1)));
    let errors: Vec<_> = join_all(asked).await.into_iter().filter_map(Result::err).collect();
    let late = errors.iter().filter(|error| matches!(error, StoreError::Late(_))).count();
    assert_eq!((errors.len(), late), (20, 19), "one of them has tried: {errors:?}");
    Ok(())
}

#[tokio::test]
async fn soak_a_postgres_that_vanishes_without_a_word_ends_no_loop() -> TestResult {
    let limit = Duration::from_mins(3);
    let (lab, passage) = Lab::start_behind_passage().await?;
    let url = format!("--database-url={}", lab.servers.postgres.url());
    let store = Store::connect(&lab.settings(&[&url])?.store).await?;
    let plan = EventPlan { hold_seconds: 8, ..EventPlan::hall(2, 20) };
    let (event, _, _) = make_event(&store, &plan).await?;
    let shoppers = lab.shoppers(40).await?;
    for (shopper, job) in shoppers.iter().zip(queue_up(&shoppers[..20], event).await?) {
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    }
    passage.silence();
    // The sweeper releases, what it tells is sent on, and the worker decides who comes then.
    eventually_within(limit, "what had run out is released", async || {
        let left: Result<i64, _> = sqlx::query_scalar(
            "select count(*) from seat_claims where event_id = $1 and status = 'reserved'",
        )
        .bind(event.0)
        .fetch_one(store.pool())
        .await;
        left.is_ok_and(|left| left == 0)
    })
    .await;
    eventually_within(limit, "the outbox is sent", async || {
        store.outbox_depth().await.is_ok_and(|depth| depth.unsent == 0)
    })
    .await;
    for shopper in &shoppers[20..] {
        let mut job = String::new();
        eventually_within(limit, "bookings are taken", async || {
            let booked = shopper.book(event, json!({"quantity": 1})).await;
            booked.is_ok_and(|booked| {
                job = booked;
                true
            })
        })
        .await;
        eventually_within(limit, "and decided", async || {
            shopper.status(&job).await.is_ok_and(|status| status["status"] == "completed")
        })
        .await;
    }
    let decided: i64 = sqlx::query_scalar("select count(*) from job_outcomes where event_id = $1")
        .bind(event.0)
        .fetch_one(store.pool())
        .await?;
    assert_eq!(decided, 40, "nobody twice");
    assert_invariants(&store, event).await
}
