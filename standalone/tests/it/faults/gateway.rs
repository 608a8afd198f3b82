//! Gateways that are killed.

use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;

use super::Mix;
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually};

#[tokio::test]
async fn a_killed_gateway_costs_nobody_their_place() -> TestResult {
    let lab = Lab::start().await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 30, ..EventPlan::hall(8, 20) }).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let mut killed = lab.spawn_gateway(port)?;
    eventually("the other gateway answers", async || {
        lab.http.get(format!("{url}/ready")).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    let shoppers = lab.shoppers(50).await?;
    let there: Vec<_> = shoppers.iter().map(|shopper| shopper.at(&url)).collect();
    let jobs = mix.queue_up(&there, 0).await?;
    killed.kill();
    let survivor = lab.add(&[Part::Gateway]).await?;
    let last = shoppers[49].at(&survivor.url);
    eventually("places are unchanged", async || {
        let here = shoppers[49].status(&jobs[49]).await.unwrap_or_default();
        let new = last.status(&jobs[49]).await.unwrap_or_default();
        here["place"] == new["place"] && here["waiting"] == 50
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    survivor.stop().await;
    assert_invariants(lab.store(), mix.event).await
}
