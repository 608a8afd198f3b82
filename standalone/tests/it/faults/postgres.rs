//! PostgreSQL that goes away.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::{Mix, decided};
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants};

/// PostgreSQL is gone for so long, in the midst of a rush.
async fn go_without(outage: Duration) -> TestResult {
    let mut lab = Lab::start_with(&[], &["--worker-max-batch=25"]).await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 150, ..EventPlan::hall(24, 40) }).await?;
    let shoppers = lab.shoppers(400).await?;
    let mut jobs = mix.queue_up(&shoppers[..200], 0).await?;
    lab.servers.postgres.kill();
    jobs.extend(mix.queue_up(&shoppers[200..], 200).await?);
    let (status, body) = shoppers[0].get("/api/cart").await?;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unavailable")));
    tokio::time::sleep(outage).await;
    lab.servers.postgres.restart().await?;
    lab.until_decided(mix.event, jobs.len()).await?;
    assert_eq!(decided(&lab, mix.event).await?, 400);
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed", "no attempt was used up");
    }
    assert_invariants(lab.store(), mix.event).await
}

#[tokio::test]
async fn without_postgres_the_line_grows_and_nobody_loses_an_attempt() -> TestResult {
    go_without(Duration::from_secs(4)).await
}

#[tokio::test]
async fn soak_a_minute_without_postgres_costs_nobody_an_attempt() -> TestResult {
    go_without(Duration::from_mins(1)).await
}

#[tokio::test]
async fn a_postgres_that_hangs_for_a_while_is_waited_for() -> TestResult {
    let lab = Lab::start_with(&[], &["--worker-max-batch=25"]).await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 20, ..EventPlan::hall(10, 20) }).await?;
    let shoppers = lab.shoppers(200).await?;
    let jobs = mix.queue_up(&shoppers[..100], 0).await?;
    lab.servers.postgres.pause()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    lab.servers.postgres.resume()?;
    let more = mix.queue_up(&shoppers[100..], 100).await?;
    lab.until_decided(mix.event, jobs.len() + more.len()).await?;
    assert_eq!(decided(&lab, mix.event).await?, 200);
    assert_invariants(lab.store(), mix.event).await
}
