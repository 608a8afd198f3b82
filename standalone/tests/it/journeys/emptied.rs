//! A named queue is emptied and forgotten, lane by lane and as a whole, on one Redis and on a cluster.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::queue::Queue;
use shared::queue::claim::{Batch, Claim};
use shared::queue::jobs::{Job, JobEnding, lane, partition};
use shared::queue::lease::GiveBack;
use shared::store::NewNamedJob;
use uuid::Uuid;

use crate::lab::{Lab, Shopper, TestResult, end_as_removed, eventually};

type AnyError = Box<dyn std::error::Error>;

/// Nobody works on it.
const QUEUE: &str = "parcels";

async fn add(lab: &Lab, nth: u16, minutes: i64) -> Result<Uuid, AnyError> {
    let run_at = (minutes > 0).then(|| chrono::Utc::now() + chrono::Duration::minutes(minutes));
    let job = NewNamedJob { queue: QUEUE, lane: nth, payload: "a parcel", run_at };
    Ok(lab.store().add_job(&job).await?)
}

/// Waits until so many wait, and so many rest or are for later, in a lane.
async fn until_held(named: &Queue, nth: u16, held: (u64, u64)) {
    eventually(&format!("{held:?} lie in lane {nth}"), async || {
        named.lane_counts().await.is_ok_and(|lanes| {
            lanes.iter().any(|counts| counts.lane == nth && (counts.waiting, counts.resting) == held)
        })
    })
    .await;
}

async fn take_one(named: &Queue, nth: u16) -> Result<Batch<Job>, AnyError> {
    let mut taken = None;
    eventually("a job may run", async || {
        if let Ok(Claim::Batch(batch)) = named.claim_as::<Job>(lane(nth), "w", 1).await {
            taken = Some(batch);
        }
        taken.is_some()
    })
    .await;
    Ok(taken.ok_or("a batch")?)
}

async fn call(operator: &Shopper, verb: &str, body: Value) -> Result<Value, AnyError> {
    let (status, answer) = operator.post(&format!("/api/admin/queue/{verb}"), body).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    Ok(answer)
}

/// So many jobs ended so in each lane.
async fn ended(lab: &Lab) -> Result<Vec<(i16, String, i64)>, sqlx::Error> {
    sqlx::query_as("select lane, status, count(*) from jobs where queue = $1 group by 1, 2 order by 1, 2")
        .bind(QUEUE)
        .fetch_all(lab.store().pool())
        .await
}

/// What a worker has at hand goes on; all others end as removed, those included that rest or are for later, and are not
/// given to Redis again.
pub(crate) async fn empty_a_named_queue(lab: &Lab, operator: &Shopper) -> TestResult {
    let named = lab.system.queue.named(QUEUE);
    for nth in [0, 0, 0, 5, 5, 5] {
        add(lab, nth, 0).await?;
    }
    add(lab, 5, 30).await?;
    add(lab, 5, 90).await?;
    until_held(&named, 0, (3, 0)).await;
    until_held(&named, 5, (3, 1)).await;
    call(operator, "pause", json!({"queue": QUEUE, "lane": 5})).await?;
    let at_hand = take_one(&named, 0).await?;
    let job = &at_hand.jobs[0];
    lab.store().begin_attempts(&[(job.id, job.number)]).await?;
    let read = lab.store().jobs_to_drain(QUEUE, (Some(0), None), &[job.id], 1).await?;
    let [(taken, 0)] = read.as_slice() else { return Err("the next one".into()) };
    lab.store().begin_attempts(&[(*taken, job.number + 1)]).await?;
    assert!(lab.store().drain_jobs(&read).await?.is_empty(), "a worker has begun it meanwhile");

    let lane_0 = json!({"queue": QUEUE, "lane": 0});
    assert_eq!(call(operator, "drain", lane_0.clone()).await?, json!({"removed": 2, "left": 1}));
    let busy = json!({"removed": 0, "left": 1, "obliterated": false});
    assert_eq!(call(operator, "obliterate", lane_0.clone()).await?, busy, "a worker has it at hand");
    let (_, removed) = operator.get(&format!("/api/admin/queue/jobs?queue={QUEUE}&status=removed")).await?;
    let removed = removed["items"].as_array().ok_or("jobs")?;
    assert_eq!(removed.len(), 2);
    assert!(removed.iter().all(|job| job["status"] == "removed" && job["finishedAt"].is_string()));
    lab.store().note_attempt(job.id, Some("completed"), None).await?;
    let endings = [(job.number, JobEnding::Completed)];
    assert_eq!(named.settle_jobs(&at_hand, &endings, Duration::ZERO).await?, Ok(0));
    let gone = json!({"removed": 0, "left": 0, "obliterated": true});
    assert_eq!(call(operator, "obliterate", lane_0).await?, gone);
    for (removed, left, obliterated) in [(3, 2, false), (2, 0, true)] {
        let body = json!({"queue": QUEUE, "lane": 5, "limit": 3});
        let answer = call(operator, "obliterate", body).await?;
        assert_eq!(answer, json!({"removed": removed, "left": left, "obliterated": obliterated}));
    }
    assert_eq!(named.lanes(partition()).await?, []);
    let ends = [(0_i16, "completed", 1_i64), (0, "removed", 2), (5, "removed", 5)];
    assert_eq!(ended(lab).await?, ends.map(|(nth, status, count)| (nth, status.to_owned(), count)));

    begin_anew(lab, operator, &named).await?;
    refuse_what_is_wrong(operator).await?;
    let written: Vec<String> = sqlx::query_scalar(
        "select concat(action, ' ', object, ': ', result) from audit_log
         where user_id = $1 and object like 'parcels%' and action <> 'queue.drain' order by id",
    )
    .bind(operator.id.0)
    .fetch_all(lab.store().pool())
    .await?;
    let told = [
        "queue.pause parcels, lane 5: done",
        "queue.obliterate parcels, lane 0: done in part: 0 ended, 1 left, 0 lanes forgotten",
        "queue.obliterate parcels, lane 0: done",
        "queue.obliterate parcels, lane 5: done in part: 3 ended, 2 left, 0 lanes forgotten",
        "queue.obliterate parcels, lane 5: done",
        "queue.resume parcels, lane 5: done",
        "queue.obliterate parcels: done in part: 1 ended, 2 left, 0 lanes forgotten",
        "queue.obliterate parcels: done",
    ];
    assert_eq!(written, told);
    let drains = "select count(*) from audit_log where action = 'queue.drain' and object like 'parcels%'";
    assert_eq!(lab.count(drains).await?, 8, "each call of both");
    stay_known(lab, operator).await
}

/// A queue is told as long as anything of it is kept: jobs, though all are finished, or a pause, though no job is left.
async fn stay_known(lab: &Lab, operator: &Shopper) -> TestResult {
    let told = async || -> Result<Value, AnyError> {
        let (_, queues) = operator.get("/api/admin/queue/named").await?;
        let mut items = queues["items"].as_array().ok_or("queues")?.iter();
        Ok(items.find(|queue| queue["queue"] == QUEUE).cloned().unwrap_or_default())
    };
    sqlx::query("delete from queue_controls where queue = $1")
        .bind(QUEUE)
        .execute(lab.store().pool())
        .await?;
    let mut known = json!({"queue": QUEUE, "waiting": 0, "retrying": 0, "failed": 0, "active": 0, "completed": 0,
        "lanes": [], "paused": false, "message": ""});
    assert_eq!(told().await?, known, "all its jobs are finished, and nothing is paused");
    let lane_5 = json!({"queue": QUEUE, "lane": 5});
    call(operator, "pause", lane_5.clone()).await?;
    assert_eq!(call(operator, "jobs/clean", json!({"queue": QUEUE})).await?, json!({"removed": 11}));
    known["lanes"] = json!([{"lane": 5, "waiting": 0, "active": 0, "resting": 0, "completed": 0, "failed": 0,
        "paused": true, "worker": null}]);
    assert_eq!(told().await?, known, "a pause is all that is there");
    call(operator, "resume", lane_5).await?;
    known["lanes"] = json!([]);
    assert_eq!(told().await?, known);
    Ok(())
}

/// New jobs come into lanes that were forgotten, but none that was drained, though Redis might not have it.
async fn begin_anew(lab: &Lab, operator: &Shopper, named: &Queue) -> TestResult {
    sqlx::query("update jobs set queued_in = null where queue = $1 and finished_at is not null")
        .bind(QUEUE)
        .execute(lab.store().pool())
        .await?;
    for nth in 5..=7 {
        add(lab, nth, 0).await?;
        until_held(named, nth, (1, 0)).await;
    }
    let lanes = named.lanes(partition()).await?;
    assert_eq!(lanes, [lane(5), lane(6), lane(7)], "what was removed is not given to Redis again");
    let (_, queues) = operator.get("/api/admin/queue/named").await?;
    let items = queues["items"].as_array().ok_or("queues")?;
    let told = items.iter().find(|queue| queue["queue"] == QUEUE).ok_or("the queue")?;
    assert_eq!(told["waiting"], 3, "what was removed does not count as open");
    let paused = named.claim_as::<Job>(lane(5), "w", 1).await?;
    assert!(matches!(paused, Claim::Paused), "a pause outlives the lane: {paused:?}");
    call(operator, "resume", json!({"queue": QUEUE, "lane": 5})).await?;
    let taken = take_one(named, 5).await?;
    let all = json!({"queue": QUEUE, "limit": 1});
    let in_part = json!({"removed": 1, "left": 2, "obliterated": false});
    assert_eq!(
        call(operator, "obliterate", all.clone()).await?,
        in_part,
        "the oldest that nobody has at hand"
    );
    named.give_back(&taken.lease, &GiveBack::default()).await??;

    // As if the gateway had died before it took them out of Redis.
    assert_eq!(end_as_removed(lab.store(), QUEUE, 10).await?, 2);
    until_held(named, 5, (1, 0)).await;
    assert_eq!(call(operator, "drain", all.clone()).await?, json!({"removed": 0, "left": 1}));
    until_held(named, 5, (0, 0)).await;
    let gone = json!({"removed": 0, "left": 0, "obliterated": true});
    assert_eq!(call(operator, "obliterate", all).await?, gone, "all lanes");
    assert_eq!(named.lanes(partition()).await?, []);
    Ok(())
}

async fn refuse_what_is_wrong(operator: &Shopper) -> TestResult {
    for verb in ["drain", "obliterate"] {
        for (wrong, status, code) in [
            (json!({}), StatusCode::UNPROCESSABLE_ENTITY, "validation"),
            (json!({"lane": 1}), StatusCode::UNPROCESSABLE_ENTITY, "validation"),
            (json!({"queue": QUEUE, "lane": 64}), StatusCode::UNPROCESSABLE_ENTITY, "validation"),
            (json!({"queue": QUEUE, "eventId": 1}), StatusCode::UNPROCESSABLE_ENTITY, "validation"),
            (json!({"queue": "no-such-queue"}), StatusCode::NOT_FOUND, "not_found"),
        ] {
            let (told, problem) = operator.post(&format!("/api/admin/queue/{verb}"), wrong.clone()).await?;
            assert_eq!((told, &problem["code"]), (status, &json!(code)), "{verb} {wrong}");
        }
    }
    for verb in ["drain", "obliterate", "jobs/remove"] {
        for owed in ["tickets", "refunds", "free_bookings"] {
            let (status, problem) =
                operator.post(&format!("/api/admin/queue/{verb}"), json!({"queue": owed})).await?;
            assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("owed")), "{verb} {owed}");
        }
    }
    Ok(())
}
