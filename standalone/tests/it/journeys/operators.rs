//! The operators' side.

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;

use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

#[tokio::test]
async fn the_whole_queue_and_one_lane_are_paused_apart() -> TestResult {
    let lab = Lab::start().await?;
    let (one, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let (other, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shopper = lab.shopper().await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": one})).await?;
    let held = shopper.book(one, json!({"quantity": 1})).await?;
    let free = shopper.book(other, json!({"quantity": 1})).await?;
    assert_eq!(shopper.outcome(&free).await?["status"], "completed", "the other lane goes on");
    operator.post("/api/admin/queue/pause", json!({"message": "all stop"})).await?;
    operator.post("/api/admin/queue/resume", json!({"eventId": one})).await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(shopper.status(&held).await?["status"], "queued", "the whole queue is still paused");
    let (_, stats) = operator.get("/api/admin/queue/stats").await?;
    assert_eq!((&stats["paused"], &stats["waiting"], &stats["lanes"]), (&json!(true), &json!(1), &json!(2)));
    let (_, details) = operator.get(&format!("/api/admin/queue/details?eventId={one}")).await?;
    assert_eq!(details["lanes"][0]["message"], "all stop");
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(shopper.outcome(&held).await?["status"], "completed");
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_log where user_id = $1 order by id")
            .bind(operator.id.0)
            .fetch_all(lab.store().pool())
            .await?;
    assert_eq!(actions, ["queue.pause", "queue.pause", "queue.resume", "queue.resume"]);
    Ok(())
}

#[tokio::test]
async fn cleaning_forgets_finished_jobs_and_no_outcome() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(4).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    lab.until_decided(event, 4).await?;
    let path = format!("/api/admin/queue/details?eventId={event}");
    let counts = async || {
        let (_, details) = operator.get(&path).await.unwrap_or_default();
        let count = |name: &str| details["lanes"][0][name].as_array().map(Vec::len);
        (count("completed"), count("failed"))
    };
    eventually("finished jobs are shown", async || counts().await == (Some(2), Some(2))).await;
    let (status, cleaned) = operator.post("/api/admin/queue/clean", json!({"state": "failed"})).await?;
    assert_eq!((status, &cleaned["removed"]), (StatusCode::OK, &json!(2)));
    assert_eq!(counts().await, (Some(2), Some(0)));
    assert_eq!(shoppers[3].status(&jobs[3]).await?["code"], "sold_out", "outcomes stay");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn only_operators_and_admins_see_the_queue() -> TestResult {
    let lab = Lab::start().await?;
    let cases = [
        (Role::Shopper, StatusCode::FORBIDDEN),
        (Role::Scanner, StatusCode::FORBIDDEN),
        (Role::Operator, StatusCode::OK),
        (Role::Admin, StatusCode::OK),
    ];
    for (role, expected) in cases {
        let caller = lab.with_role(role).await?;
        assert_eq!(caller.get("/api/admin/queue/stats").await?.0, expected, "{role:?}");
        assert_eq!(caller.get("/api/admin/queue/details").await?.0, expected, "{role:?}");
        for path in ["pause", "resume"] {
            let path = format!("/api/admin/queue/{path}");
            assert_eq!(caller.post(&path, json!({})).await?.0, expected, "{role:?} {path}");
        }
        let clean = caller.post("/api/admin/queue/clean", json!({"state": "failed"})).await?;
        assert_eq!(clean.0, expected, "{role:?}");
    }
    let nobody = lab.http.get(format!("{}/api/admin/queue/stats", lab.system.url)).send().await?;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}
