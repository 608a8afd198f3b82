//! Redis that comes back as it was while a lane was being decided.

use serde_json::json;
use shared::auth::Role;
use shared::domain::EventId;

use super::{Mix, SLOW_COMMITS, book_at_last, decided};
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually};

/// What Redis knows of a lane.
struct Known {
    fence: u64,
    last: u64,
    settled: u64,
}

impl Known {
    async fn read(lab: &Lab, event: EventId) -> redis::RedisResult<Self> {
        let queue = &lab.system.queue;
        let (fence, last, completed, failed): (u64, u64, u64, u64) = redis::cmd("HMGET")
            .arg(queue.keys().meta(event))
            .arg(&["fence", "last", "completed", "failed"])
            .query_async(&mut queue.connection())
            .await?;
        Ok(Self { fence, last, settled: completed + failed })
    }
}

/// Every outcome by its number: whose it is, and what it says.
async fn outcomes(lab: &Lab, event: EventId) -> Result<Vec<(i64, i64, String, Option<String>)>, sqlx::Error> {
    sqlx::query_as(
        "select number, user_id, status, result::text from job_outcomes where event_id = $1 order by number",
    )
    .bind(event.0)
    .fetch_all(lab.store().pool())
    .await
}

#[tokio::test]
async fn nobody_whom_a_redis_behind_has_at_its_head_again_is_decided_twice() -> TestResult {
    // The lease that it remembers has to run out.
    let words = [
        "--worker-max-batch=25",
        "--queue-lease-ms=2500",
        "--database-statement-timeout-ms=1200",
        "--database-lock-timeout-ms=1200",
    ];
    let mut lab = Lab::start_with(&[], &words).await?;
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 150, ..EventPlan::hall(24, 40) }).await?;
    let event = mix.event;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(201).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let mut jobs = mix.queue_up(&shoppers[..150], 0).await?;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    eventually("some are settled", async || {
        Known::read(&lab, event).await.is_ok_and(|known| known.settled > 20)
    })
    .await;
    let snapshot = lab.servers.redis.snapshot_aof()?;
    let then = Known::read(&lab, event).await?;

    // Others come, and whoever goes on with the lane has another fence.
    operator.post("/api/admin/queue/pause", json!({})).await?;
    eventually("the lane is given back", async || {
        lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.lease.is_none() && lane.waiting > 0)
    })
    .await;
    jobs.extend(mix.queue_up(&shoppers[150..200], 150).await?);
    operator.post("/api/admin/queue/resume", json!({})).await?;
    let mut lost = None;
    eventually("more are settled, under another lease", async || {
        let known = Known::read(&lab, event).await.ok();
        lost = known.filter(|now| now.fence > then.fence && now.settled >= then.settled + 25);
        lost.is_some()
    })
    .await;
    lab.servers.redis.kill();
    let lost = lost.ok_or("what it knew")?;
    assert!(lost.last > then.last, "it is to forget the latest number");
    let before = outcomes(&lab, event).await?;
    assert!(before.len() < 200, "all of them are decided");
    lab.servers.redis.restart_behind(&snapshot).await?;

    jobs.push(book_at_last(&shoppers[200], event).await);
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    eventually("nobody waits", async || {
        lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.waiting + lane.active == 0)
    })
    .await;
    assert_eq!(decided(&lab, event).await?, 201, "nobody twice");
    let after = outcomes(&lab, event).await?;
    assert!(before.iter().all(|outcome| after.contains(outcome)), "what was decided stands");
    let (newest, whose, ..) = after.last().ok_or("an outcome")?;
    assert_eq!(*whose, shoppers[200].id.0, "whoever came last has the highest number");
    assert!(u64::try_from(*newest)? > lost.last, "which nobody had before");
    assert_invariants(lab.store(), event).await
}
