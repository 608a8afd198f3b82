//! What is told of a batch while it is decided, and of all that were.

use serde_json::{Value, json};
use shared::auth::Role;
use shared::queue::claim::Claim;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

async fn stats(operator: &Shopper) -> Value {
    operator.get("/api/admin/queue/stats").await.unwrap_or_default().1
}

#[tokio::test]
async fn a_batch_is_active_at_half_of_its_way_and_flagged_after_half_a_minute() -> TestResult {
    // Nobody decides what is claimed here.
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &["--queue-lease-ms=60000"]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(5).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    let mut claimed = 0;
    eventually("the head of the line is claimed", async || {
        if let Ok(Claim::Batch(batch)) = lab.system.queue.claim(event, "slow", 3).await {
            claimed = batch.jobs.len();
        }
        claimed > 0
    })
    .await;
    assert_eq!(claimed, 3);
    eventually("whoever is in it is told", async || {
        shoppers[2].status(&jobs[2]).await.is_ok_and(|status| status["status"] == "processing")
    })
    .await;
    for (shopper, job) in shoppers.iter().zip(&jobs).take(3) {
        let status = shopper.status(job).await?;
        assert_eq!((&status["status"], &status["progress"]), (&json!("processing"), &json!(50)), "{status}");
    }
    assert_eq!(shoppers[3].status(&jobs[3]).await?["place"], 1, "the others move up");
    let told = stats(&operator).await;
    assert_eq!((&told["active"], &told["waiting"]), (&json!(3), &json!(2)), "{told}");

    let path = format!("/api/admin/queue/details?eventId={event}");
    let lane = async || operator.get(&path).await.map(|(_, details)| details["lanes"][0].clone());
    let now = lane().await?;
    assert_eq!((&now["active"], &now["lease"]["worker"]), (&json!(3), &json!("slow")), "{now}");
    let (mut connection, meta) = (lab.system.queue.connection(), lab.system.queue.keys().meta(event));
    let since: u64 = redis::cmd("HGET").arg(&meta).arg("lease_since").query_async(&mut connection).await?;
    for (ms_ago, is_stalled) in [(15_000, false), (31_000, true)] {
        // As if it had been claimed so long ago.
        let () = redis::cmd("HSET")
            .arg(&meta)
            .arg("lease_since")
            .arg(since - ms_ago)
            .query_async(&mut connection)
            .await?;
        assert_eq!(lane().await?["lease"]["stalled"], is_stalled, "{ms_ago} ms");
    }
    Ok(())
}

#[tokio::test]
async fn the_share_of_success_and_the_times_of_batches_are_told() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 3)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let before = stats(&operator).await;
    assert!(before["successRate"].is_null(), "nothing has ended: {before}");
    assert_eq!(before["processing"]["throughputPerSecond"], 0.0, "{before}");
    for shopper in lab.shoppers(4).await? {
        let job = shopper.book(event, json!({"quantity": 1})).await?;
        shopper.outcome(&job).await?;
    }
    eventually("all four are counted", async || {
        let told = stats(&operator).await;
        told["completed"] == 3 && told["failed"] == 1 && told["active"] == 0
    })
    .await;
    let told = stats(&operator).await;
    assert_eq!(told["successRate"], 0.75, "{told}");
    let figure = |name: &str| told["processing"][name].as_f64().unwrap_or(0.0);
    assert!(figure("p50Ms") > 0.0 && figure("p95Ms") >= figure("p50Ms"), "{told}");
    assert!(figure("throughputPerSecond") > 0.0, "{told}");
    Ok(())
}

#[tokio::test]
async fn a_worker_logs_every_batch_with_its_size_and_time_where_that_is_asked_for() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[]).await?;
    let logs = lab.servers.dir().join("worker.log");
    let _worker = lab.spawn_logging("worker", &logs)?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 3)).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    eventually("the batch is logged", async || {
        let logged = std::fs::read_to_string(&logs).unwrap_or_default();
        let mut lines = logged.lines();
        lines.any(|line| line.contains("batches decided") && line.contains("duration_ms"))
    })
    .await;
    Ok(())
}
