//! What a process takes of its stores at most, and what it says while one is away.

use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::store::Store;
use sqlx::{Connection as _, PgConnection};
use standalone::servers::scratch;
use standalone::settings::{Part, Settings};

use crate::lab::{Lab, TestResult, eventually};

/// Connections of Usher that PostgreSQL has.
async fn connections(watch: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from pg_stat_activity where application_name = 'usher'")
        .fetch_one(watch)
        .await
}

async fn ask(lab: &Lab, path: &str) -> Result<(StatusCode, Value), reqwest::Error> {
    let answer = lab.http.get(format!("{}{path}", lab.system.url)).send().await?;
    Ok((answer.status(), answer.json().await?))
}

/// Whether the gateway says that it has the one store and not the other, and that it is to be asked all the same.
async fn lacks(lab: &Lab, missing: &str, other: &str) -> bool {
    for (path, expected) in [("/health/stores", StatusCode::SERVICE_UNAVAILABLE), ("/ready", StatusCode::OK)]
    {
        let is_told = ask(lab, path)
            .await
            .is_ok_and(|(status, told)| status == expected && told[missing] == false && told[other] == true);
        if !is_told {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_process_serves_many_with_as_many_connections_as_it_may_have() -> TestResult {
    // Nobody else is at this PostgreSQL.
    let servers = scratch().await?;
    let url = format!("--database-url={}", servers.postgres.url());
    let settings = Settings::from_words([url.as_str(), "--database-max-connections=4"])?;
    let store = Store::connect(&settings.store).await?;
    let mut watch = PgConnection::connect(&servers.postgres.url()).await?;
    let asked = (0..40).map(|_| sqlx::query("select pg_sleep(0.05)").execute(store.pool()));
    let mut asking = pin!(futures_util::future::try_join_all(asked));
    let mut most = 0;
    loop {
        tokio::select! {
            done = &mut asking => {
                done?;
                break;
            }
            counted = connections(&mut watch) => most = most.max(counted?),
        }
    }
    assert_eq!(most, 4);
    Ok(())
}

#[tokio::test]
async fn a_lock_that_is_held_is_waited_for_as_long_as_is_set_and_no_longer() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &["--database-lock-timeout-ms=300"]).await?;
    let shopper = lab.shopper().await?;
    let mut holder = PgConnection::connect(&lab.servers.postgres.url()).await?;
    let mut held = holder.begin().await?;
    sqlx::query("lock table users in access exclusive mode").execute(&mut *held).await?;
    let begun = Instant::now();
    let (status, problem) = shopper.get("/api/account").await?;
    let took = begun.elapsed();
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unavailable")));
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(4), "{took:?}");
    held.rollback().await?;
    assert_eq!(shopper.get("/api/account").await?.0, StatusCode::OK);
    let usual = Settings::from_words([])?;
    let store = &usual.store;
    assert_eq!((store.database_lock_timeout_ms, store.database_statement_timeout_ms), (2_000, 5_000));
    usual.queue.check(store)?;
    Ok(())
}

#[tokio::test]
async fn a_gateway_without_a_store_lives_and_says_which_one_it_lacks() -> TestResult {
    let mut lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[]).await?;
    lab.servers.redis.kill();
    eventually("it says that it lacks Redis", async || lacks(&lab, "redis", "postgres").await).await;
    assert_eq!(ask(&lab, "/health").await?.0, StatusCode::OK);
    lab.servers.redis.restart().await?;
    lab.until_ready(&lab.system.url).await;
    lab.servers.postgres.kill();
    eventually("it says that it lacks PostgreSQL", async || lacks(&lab, "postgres", "redis").await).await;
    assert_eq!(ask(&lab, "/health").await?.0, StatusCode::OK);
    lab.servers.postgres.restart().await?;
    lab.until_ready(&lab.system.url).await;
    Ok(())
}
