//! The operators' side.

use std::ops::RangeInclusive;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::{EventId, Refusal};
use shared::queue::Partition;
use shared::queue::claim::Claim;
use shared::shop::Sweeps;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, assert_invariants, eventually, make_event};

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
    // Many lanes: all are counted, and of those that nobody is in the newest events' are told one by one.
    add_empty_lanes(&lab, 1_000_001..=1_000_205).await?;
    let (_, stats) = operator.get("/api/admin/queue/stats").await?;
    assert_eq!((&stats["lanes"], &stats["completed"]), (&json!(207), &json!(2)));
    let (_, details) = operator.get("/api/admin/queue/details").await?;
    let shown = details["lanes"].as_array().ok_or("lanes")?;
    assert_eq!((shown.len(), &details["total"]), (200, &json!(207)));
    assert_eq!((&shown[0]["eventId"], &shown[199]["eventId"]), (&json!(1_000_006), &json!(1_000_205)));
    // What was decided lies in the oldest two, beyond those that are told.
    let (_, history) = operator.get("/api/admin/queue/history").await?;
    let minutes = history["items"].as_array().ok_or("minutes")?;
    assert_eq!(minutes.iter().filter_map(|minute| minute["completed"].as_u64()).sum::<u64>(), 2, "{history}");
    for (limit, removed) in [(1, 1), (1_000, 1), (1_000, 0)] {
        let body = json!({"state": "completed", "limit": limit});
        let (_, cleaned) = operator.post("/api/admin/queue/clean", body).await?;
        assert_eq!(cleaned, json!({"removed": removed}), "{limit} at most");
    }
    Ok(())
}

/// As if these events had been on sale once.
async fn add_empty_lanes(lab: &Lab, events: RangeInclusive<i64>) -> TestResult {
    let queue = &lab.system.queue;
    for event in events.map(EventId) {
        let lanes = queue.keys().lanes(Partition::of(event));
        redis::cmd("SADD").arg(lanes).arg(event.0).query_async::<()>(&mut queue.connection()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn lanes_that_somebody_is_in_are_told_before_those_of_newer_events() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &["--queue-lease-ms=60000"]).await?;
    let others = lab.add(&[Part::Worker, Part::Sweeper]).await?;
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(make_event(lab.store(), &EventPlan::hall(1, 1)).await?.0);
    }
    let [empty, full, claimed, waiting] = events[..] else { return Err("four events".into()) };
    let [first, next]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    for event in [empty, full] {
        let job = first.book(event, json!({"quantity": 1})).await?;
        assert_eq!(first.outcome(&job).await?["status"], "completed");
    }
    let job = next.book(full, json!({"quantity": 1, "standby": true})).await?;
    eventually("the next one stands by", async || {
        next.status(&job).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
    // From here on nobody decides anything, nor asks who stands by.
    others.stop().await;
    for event in [claimed, waiting] {
        next.book(event, json!({"quantity": 1})).await?;
    }
    eventually("one is being decided", async || {
        matches!(lab.system.queue.claim(claimed, "slow", 1).await, Ok(Claim::Batch(_)))
    })
    .await;
    add_empty_lanes(&lab, 1_000_001..=1_000_205).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let (_, details) = operator.get("/api/admin/queue/details").await?;
    let lanes = details["lanes"].as_array().ok_or("lanes")?;
    assert_eq!((lanes.len(), &details["total"]), (200, &json!(209)));
    let of = |lane: &Value| json!([lane["eventId"], lane["waiting"], lane["active"], lane["standby"]]);
    let told: Vec<Value> = lanes.iter().take(4).map(of).collect();
    let expected = [(full, 0, 0, 1), (claimed, 0, 1, 0), (waiting, 1, 0, 0), (EventId(1_000_009), 0, 0, 0)];
    assert_eq!(told, expected.map(|lane| json!(lane)));
    assert_eq!(lanes[199]["eventId"], 1_000_205);
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
    for (body, removed, left) in
        [(json!({"limit": 3}), 3, (Some(0), Some(1))), (json!({"state": "failed"}), 1, (Some(0), Some(0)))]
    {
        let (status, cleaned) = operator.post("/api/admin/queue/clean", body).await?;
        assert_eq!((status, &cleaned["removed"]), (StatusCode::OK, &json!(removed)));
        assert_eq!(counts().await, left);
    }
    let written = "select count(*) from audit_log where action = 'queue.clean' and object = 'queue'";
    assert_eq!(lab.count(written).await?, 2, "each request once, of whatever states it was");
    assert_eq!(shoppers[3].status(&jobs[3]).await?["code"], "sold_out", "outcomes stay");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn drained_and_removed_jobs_have_an_outcome_and_the_others_go_on() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let shoppers = lab.shoppers(6).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    let drain = async || operator.post("/api/admin/queue/drain", json!({"eventId": event, "limit": 3})).await;
    // Redis may be read but takes nobody out of the lane; they have their outcome all the same.
    let mut redis = lab.system.queue.connection();
    for scripts in ["-evalsha", "+evalsha"] {
        let () = redis::cmd("ACL").arg("SETUSER").arg("default").arg(scripts).query_async(&mut redis).await?;
        if scripts == "-evalsha" {
            let body = json!({"eventId": event, "state": "failed"});
            assert!(operator.post("/api/admin/queue/clean", body).await?.0.is_server_error());
            assert!(drain().await?.0.is_server_error());
        }
    }
    let told: Vec<(String, String)> =
        sqlx::query_as("select action, result from audit_log where user_id = $1 order by id")
            .bind(operator.id.0)
            .fetch_all(lab.store().pool())
            .await?;
    let in_part = |action: &str| (action.to_owned(), "done in part at most: a store was away".to_owned());
    let begun = [in_part("queue.clean"), in_part("queue.drain")];
    assert!(told.ends_with(&begun), "what was begun is written down: {told:?}");
    assert_eq!(drain().await?.1, json!({"removed": 3, "left": 3}));
    for (shopper, job) in shoppers.iter().zip(&jobs).take(3) {
        assert_eq!(shopper.outcome(job).await?["code"], "removed");
    }
    eventually("those behind have moved up", async || {
        shoppers[3].status(&jobs[3]).await.is_ok_and(|status| status["place"] == 1)
    })
    .await;
    let numbers = waiting_numbers(&lab, event).await?;
    let remove = async |number: u64| {
        operator.post("/api/admin/queue/remove", json!({"eventId": event, "number": number})).await
    };
    assert_eq!(remove(numbers[1]).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(remove(numbers[1]).await?.0, StatusCode::NOT_FOUND, "it is gone already");
    assert_eq!(remove(0).await?.0, StatusCode::NOT_FOUND);
    let told = ("queue.remove".to_owned(), format!("job {} of event {event}", numbers[1]));
    let removals = audited(&lab, &operator).await?.into_iter().filter(|(action, _)| *action == told.0);
    assert_eq!(removals.collect::<Vec<_>>(), [told], "what had no effect is not written");
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    for (at, expected) in [(3, "completed"), (4, "failed"), (5, "completed")] {
        assert_eq!(shoppers[at].outcome(&jobs[at]).await?["status"], expected, "job {at}");
    }
    let body = json!({"eventId": event, "number": numbers[0]});
    let (status, refused) = operator.post("/api/admin/queue/promote", body).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("strict_lane")));
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_failed_job_is_tried_once_more_as_a_new_one() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(3).await?;
    let won = shoppers[0].book(event, json!({"quantity": 1})).await?;
    let outcome = shoppers[0].outcome(&won).await?;
    let mut lost = Vec::new();
    for shopper in &shoppers[1..] {
        let job = shopper.book(event, json!({"quantity": 1})).await?;
        assert_eq!(shopper.outcome(&job).await?["code"], "sold_out");
        lost.push(job);
    }
    let failed = async || -> Result<Vec<u64>, Box<dyn std::error::Error>> {
        let (_, details) = operator.get(&format!("/api/admin/queue/details?eventId={event}")).await?;
        let failed = details["lanes"][0]["failed"].as_array().ok_or("failed jobs")?;
        Ok(failed.iter().filter_map(|job| job["number"].as_u64()).collect())
    };
    eventually("failed jobs are kept", async || failed().await.is_ok_and(|failed| failed.len() == 2)).await;
    let [later, earlier] = failed().await?[..] else { return Err("two failed jobs, newest first".into()) };
    let booking = outcome["result"]["bookingId"].clone();
    let cancel = json!({"bookingId": booking});
    let (status, _) = shoppers[0].call(Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?;
    assert_eq!(status, StatusCode::OK);
    let retry = async |number: Option<u64>| {
        operator.post("/api/admin/queue/retry", json!({"eventId": event, "number": number})).await
    };
    let (_, retried) = retry(Some(later)).await?;
    let [one] = retried["items"].as_array().ok_or("jobs")?.as_slice() else {
        return Err(format!("one alone: {retried}").into());
    };
    assert_eq!(one["retryOf"], later);
    assert!(one["number"].as_u64() > Some(later), "{retried}");
    assert_eq!(shoppers[2].outcome(one["jobId"].as_str().ok_or("a new job")?).await?["status"], "completed");
    assert_eq!(shoppers[2].status(&lost[1]).await?["status"], "failed", "the first job stays as it ended");
    assert_eq!(failed().await?, [earlier], "the other one is left alone");
    for gone in [later, 0] {
        assert_eq!(retry(Some(gone)).await?.0, StatusCode::NOT_FOUND, "it is not tried twice");
    }
    let booking = shoppers[2].outcome(one["jobId"].as_str().unwrap_or_default()).await?;
    let cancel = json!({"bookingId": booking["result"]["bookingId"]});
    let (status, _) = shoppers[2].call(Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?;
    assert_eq!(status, StatusCode::OK);
    let (_, retried) = retry(None).await?;
    assert_eq!(retried["items"][0]["retryOf"], earlier, "{retried}");
    let job = retried["items"][0]["jobId"].as_str().ok_or("a new job")?;
    assert_eq!(shoppers[1].outcome(job).await?["status"], "completed");
    assert_eq!(retry(None).await?.1, json!({"items": []}), "all were tried");
    let told =
        [later, earlier].map(|number| ("queue.retry".to_owned(), format!("job {number} of event {event}")));
    assert_eq!(audited(&lab, &operator).await?, told);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn an_obliterated_lane_is_forgotten_and_begins_anew() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(4).await?;
    let first = shoppers[0].book(event, json!({"quantity": 1})).await?;
    assert_eq!(shoppers[0].outcome(&first).await?["status"], "completed");
    let history = format!("/api/admin/queue/history?eventId={event}");
    eventually("the minute is told", async || {
        let (_, told) = operator.get(&history).await.unwrap_or_default();
        told["items"][0]["completed"] == 1 && told["items"][0]["batches"] == 1
    })
    .await;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers[1..] {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    // As if the gateway had died before it took the first one, who left, out of the lane.
    let page = lab.system.queue.waiting_after(event, 0, 1, false).await?;
    let [(number, Some(envelope))] = page.as_slice() else { return Err("somebody waits".into()) };
    lab.store().end_job(event, *number, envelope, Refusal::Left).await?;
    let obliterate = async |limit: u32| {
        let body = json!({"eventId": event, "limit": limit});
        operator.post("/api/admin/queue/obliterate", body).await.map(|(_, answer)| answer)
    };
    assert_eq!(obliterate(1).await?, json!({"removed": 1, "left": 1, "obliterated": false}));
    assert_eq!(obliterate(1).await?, json!({"removed": 1, "left": 0, "obliterated": true}));
    for ((shopper, job), code) in shoppers[1..].iter().zip(&jobs).zip(["left", "removed", "removed"]) {
        assert_eq!(shopper.outcome(job).await?["code"], code);
    }
    assert_eq!(operator.get(&history).await?.1, json!({"items": []}));
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    let again = shoppers[1].book(event, json!({"quantity": 1})).await?;
    assert_eq!(shoppers[1].outcome(&again).await?["status"], "completed", "the fence goes on in PostgreSQL");
    assert_invariants(lab.store(), event).await?;

    sqlx::query(
        "update events set starts_at = now() - interval '3 days', sales_open_at = now() - interval '5 days',
             sales_close_at = now() - interval '4 days' where id = $1",
    )
    .bind(event.0)
    .execute(lab.store().pool())
    .await?;
    let partition = Partition::of(event);
    assert_eq!(lab.system.queue.lanes(partition).await?, [event]);
    Sweeps::new(lab.store().clone(), lab.system.queue.clone()).forget_old(400).await?;
    assert_eq!(lab.system.queue.lanes(partition).await?, [], "lanes of past events are tidied away");
    Ok(())
}

/// What somebody did, and to what, as the audit log has it.
async fn audited(lab: &Lab, by: &Shopper) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as("select action, object from audit_log where user_id = $1 order by id")
        .bind(by.id.0)
        .fetch_all(lab.store().pool())
        .await
}

async fn waiting_numbers(lab: &Lab, event: EventId) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let page = lab.system.queue.waiting_after(event, 0, 100, false).await?;
    Ok(page.into_iter().map(|(number, _)| number).collect())
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
        assert_eq!(caller.get("/api/admin/queue/history").await?.0, expected, "{role:?}");
        for path in ["pause", "resume"] {
            let path = format!("/api/admin/queue/{path}");
            assert_eq!(caller.post(&path, json!({})).await?.0, expected, "{role:?} {path}");
        }
        let clean = caller.post("/api/admin/queue/clean", json!({"state": "failed"})).await?;
        assert_eq!(clean.0, expected, "{role:?}");
        for path in ["drain", "obliterate", "remove", "retry", "promote"] {
            let path = format!("/api/admin/queue/{path}");
            let (status, _) = caller.post(&path, json!({"eventId": 999, "number": 1})).await?;
            let is_let_in = !matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
            assert_eq!(is_let_in, expected == StatusCode::OK, "{role:?} {path} {status}");
        }
    }
    let nobody = lab.http.get(format!("{}/api/admin/queue/stats", lab.system.url)).send().await?;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}
