//! What is told of a batch while it is decided, and of all that were.

use serde_json::{Value, json};
use shared::auth::Role;
use shared::messages;
use shared::queue::claim::Claim;
use shared::store::{NewNamedJob, insert_job};
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
async fn a_worker_logs_batches_with_size_and_time_and_failures_with_their_attempts() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &["--worker-backoff-ms=20"]).await?;
    let logs = lab.servers.dir().join("worker.log");
    let _worker = lab.spawn_logging("worker", &logs)?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 3)).await?;
    let [shopper, unlucky]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    let logged = |words: &[&str]| {
        let logged = std::fs::read_to_string(&logs).unwrap_or_default();
        logged.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    };
    eventually("the batch is logged", async || logged(&["batches decided", "duration_ms", "jobs"]) >= 1)
        .await;
    // PostgreSQL refuses whatever is written for this one person.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "create function refuse() returns trigger language plpgsql as
             $$ begin if new.user_id = {} then raise exception 'poison'; end if; return new; end $$;
         create trigger refuse before insert on bookings for each row execute function refuse()",
        unlucky.id
    )))
    .execute(lab.store().pool())
    .await?;
    let job = unlucky.book(event, json!({"quantity": 1})).await?;
    assert_eq!(unlucky.outcome(&job).await?["code"], "internal");
    let nonsense = NewNamedJob { queue: messages::QUEUE, lane: 0, payload: "no message", run_at: None };
    let id = insert_job(&mut *lab.store().pool().acquire().await?, &nonsense).await?;
    eventually("each failure is logged, with its cause", async || {
        logged(&["ERROR", "it will be tried again in its place", "job.attempts", "poison"]) == 2
            && logged(&["ERROR", "job failed by itself for the last time", "job.attempts", "poison"]) == 1
            && logged(&["ERROR", "job has failed for good", &id.to_string(), "no message"]) == 1
    })
    .await;
    Ok(())
}
