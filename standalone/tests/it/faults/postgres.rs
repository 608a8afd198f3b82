//! PostgreSQL that goes away.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;

use super::{Mix, SLOW_COMMITS, decided};
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, eventually_within};

/// PostgreSQL is gone for so long, in the midst of a rush.
async fn go_without(outage: Duration) -> TestResult {
    // A rest, and a look for a connection that had begun before.
    const SOON: Duration = Duration::from_secs(10);
    let mut lab = Lab::start_with(&[], &["--worker-max-batch=25"]).await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 150, ..EventPlan::hall(24, 40) }).await?;
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shoppers = lab.shoppers(400).await?;
    let mut jobs = mix.queue_up(&shoppers[..200], 0).await?;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    eventually("jobs are being decided", async || {
        lab.system.queue.lane_state(mix.event).await.is_ok_and(|lane| lane.active > 0 && lane.waiting > 0)
    })
    .await;
    lab.servers.postgres.kill();
    jobs.extend(mix.queue_up(&shoppers[200..], 200).await?);
    let (status, body) = shoppers[0].get("/api/cart").await?;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unavailable")));
    tokio::time::sleep(outage).await;
    lab.servers.postgres.restart().await?;
    let before = decided(&lab, mix.event).await?;
    eventually_within(SOON, "the lane goes on soon after it is back", async || {
        decided(&lab, mix.event).await.is_ok_and(|now| now > before || now == 400)
    })
    .await;
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
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 150, ..EventPlan::hall(24, 40) }).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shoppers = lab.shoppers(200).await?;
    let mut jobs = mix.queue_up(&shoppers[..99], 0).await?;
    jobs.extend(mix.queue_up(&shoppers[99..100], 99).await?);
    let last = async || shoppers[99].status(&jobs[99]).await;
    eventually("the last one's place is known", async || {
        last().await.is_ok_and(|status| status["place"] == 100)
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    let lane = async || lab.system.queue.lane_state(mix.event).await;
    eventually("a batch is under lease", async || lane().await.is_ok_and(|lane| lane.active > 0)).await;
    lab.servers.postgres.pause()?;
    let waiting = lane().await?.waiting;
    assert!(waiting > 0, "it is not in the midst: nobody waits behind the batch");
    let told = tokio::time::timeout(Duration::from_secs(1), last()).await;
    let told = told.map_err(|_| "nobody is told a place while it hangs")??;
    assert!(told["place"].as_u64().is_some_and(|place| (1..=100).contains(&place)), "{told}");
    let wake = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        lab.servers.postgres.resume()
    };
    let (more, cart, woken) =
        tokio::join!(mix.queue_up(&shoppers[100..], 100), shoppers[0].get("/api/cart"), wake);
    woken?;
    let (status, cart) = cart?;
    assert!(
        status == StatusCode::OK
            || (status == StatusCode::SERVICE_UNAVAILABLE && cart["code"] == "store_unavailable"),
        "{status}: {cart}"
    );
    jobs.extend(more?);
    lab.until_decided(mix.event, jobs.len()).await?;
    assert_eq!(decided(&lab, mix.event).await?, 200);
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        let outcome = shopper.outcome(job).await?;
        assert_eq!(outcome["status"], "completed", "no attempt was used up: {outcome}");
    }
    assert_invariants(lab.store(), mix.event).await
}
