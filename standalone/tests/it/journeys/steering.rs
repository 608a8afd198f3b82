//! Operators limit lanes, follow what happens, and look after named queues.

use std::time::Duration;

use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::EventId;
use shared::queue::claim::{Batch, Claim};
use shared::queue::control::Controls;
use shared::queue::feed::Done;
use shared::queue::inspect::Finished;
use shared::queue::jobs::{Job, JobEnding, lane, partition};
use shared::queue::lease::GiveBack;
use shared::shop::Sweeps;
use shared::store::NewNamedJob;
use standalone::settings::Part;
use uuid::Uuid;

use super::emptied::empty_a_named_queue;
use crate::lab::{
    EventPlan, Lab, Shopper, Site, TestResult, assert_invariants, end_as_removed, eventually, make_event,
};

fn job(word: &str) -> NewNamedJob<String> {
    NewNamedJob { queue: "post", lane: 0, payload: word.to_owned(), run_at: None }
}

/// Takes the next jobs of the first lane, as a worker would.
async fn take_next(lab: &Lab, most: usize) -> Result<Batch<Job>, Box<dyn std::error::Error>> {
    let named = lab.system.queue.named("post");
    let mut taken = None;
    eventually("a job may run", async || {
        if let Ok(Claim::Batch(batch)) = named.claim_as::<Job>(lane(0), "w", most).await {
            taken = Some(batch);
        }
        taken.is_some()
    })
    .await;
    Ok(taken.ok_or("a batch")?)
}

/// Runs the next job of the first lane to this end, as a worker would; which one it was.
async fn run_next(lab: &Lab, ending: JobEnding) -> Result<Uuid, Box<dyn std::error::Error>> {
    let (named, batch) = (lab.system.queue.named("post"), take_next(lab, 1).await?);
    let job = &batch.jobs[0];
    lab.store().begin_attempts(&[(job.id, job.number)]).await?;
    let (status, error) = match &ending {
        JobEnding::Completed => (Some("completed"), None),
        JobEnding::Failed(error) => (Some("failed"), Some(error.as_str())),
        JobEnding::Later(_, error) => (None, Some(error.as_str())),
        JobEnding::Removed => (Some("removed"), None),
    };
    lab.store().note_attempt(job.id, status, error).await?;
    named.settle_jobs(&batch, &[(job.number, ending)], Duration::from_millis(3)).await??;
    Ok(job.id)
}

#[rstest]
#[tokio::test]
async fn named_queues_are_seen_retried_paused_and_emptied(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[], &[]).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let (status, unknown) = operator.post("/api/admin/queue/pause", json!({"queue": "post"})).await?;
    assert_eq!((status, &unknown["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    // It fails before it could get to Redis.
    let run_at = Some(chrono::Utc::now() + chrono::Duration::hours(2));
    let failed = lab.store().add_job(&NewNamedJob { run_at, ..job("secret payload") }).await?;
    lab.store().begin_attempts(&[(failed, 1)]).await?;
    lab.store().note_attempt(failed, None, Some("busy")).await?;
    lab.store().begin_attempts(&[(failed, 1)]).await?;
    lab.store().note_attempt(failed, Some("failed"), Some("no such address")).await?;
    let waiting = lab.store().add_job(&job("waits")).await?;
    let (_, queues) = operator.get("/api/admin/queue/named").await?;
    let post = &queues["items"][0];
    assert_eq!((&post["queue"], &post["waiting"], &post["failed"]), (&json!("post"), &json!(1), &json!(1)));
    let (_, jobs) = operator.get("/api/admin/queue/jobs?queue=post&status=failed").await?;
    assert_eq!(jobs["items"][0]["error"], "no such address");
    assert_eq!(jobs["items"][0]["attempts"], 2);
    assert!(!jobs.to_string().contains("secret"), "what a job is about may be somebody's secret");

    let retry = json!({"queue": "post", "id": failed});
    let (_, first) = operator.post("/api/admin/queue/jobs/retry", retry.clone()).await?;
    let (_, again) = operator.post("/api/admin/queue/jobs/retry", retry).await?;
    assert_eq!(first, again, "asking twice gives the same job");
    assert_eq!(first["items"][0]["retryOf"], json!(failed));
    let (_, all) = operator.post("/api/admin/queue/jobs/retry", json!({"queue": "post"})).await?;
    assert_eq!(all["items"], json!([]), "each failed job once");

    // A queue is known whatever others there are before it.
    lab.store().add_job(&NewNamedJob { queue: "another", ..job("waits") }).await?;
    operator
        .post("/api/admin/queue/pause", json!({"queue": "post", "message": "the post is on strike"}))
        .await?;
    let named = lab.system.queue.named("post");
    eventually("it is paused", async || {
        matches!(named.claim_as::<Job>(lane(0), "w", 1).await, Ok(Claim::Paused))
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({"queue": "post"})).await?;
    let limit = json!({"queue": "post", "maxJobs": 1, "windowMs": 60_000, "lanesAtOnce": 3});
    assert_eq!(operator.post("/api/admin/queue/limits", limit.clone()).await?, (StatusCode::OK, limit));
    let (mut claimed, mut lease) = (Vec::new(), None);
    eventually("both jobs are queued", async || {
        named.lane_state(lane(0)).await.is_ok_and(|state| state.waiting == 2)
    })
    .await;
    if let Claim::Batch(batch) = named.claim_as::<Job>(lane(0), "w", 10).await? {
        lease = Some(batch.lease);
        claimed.extend(batch.jobs.into_iter().map(|job| (job.id, job.number)));
    }
    let ids: Vec<Uuid> = claimed.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [waiting], "one a minute");

    let remove = async |body: Value| operator.post("/api/admin/queue/jobs/remove", body).await;
    let at_hand = json!({"queue": "post", "id": waiting});
    assert_eq!(remove(at_hand.clone()).await?.0, StatusCode::NOT_FOUND, "a worker has it");
    assert_eq!(remove(json!({"queue": "post"})).await?.1, json!({"removed": 1}), "the other one");
    assert_eq!(lab.store().begin_attempts(&claimed).await?.len(), 1, "it goes on");
    named.give_back(&lease.ok_or("a lease")?, &GiveBack::default()).await??;
    assert_eq!(remove(at_hand.clone()).await?, (StatusCode::OK, json!({"removed": 1})));
    assert!(lab.store().begin_attempts(&claimed).await?.is_empty());
    assert_eq!(remove(at_hand).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(named.lane_state(lane(0)).await?.waiting, 0, "they have left their lane");
    let shopper = lab.shopper().await?;
    assert_eq!(shopper.get("/api/admin/queue/named").await?.0, StatusCode::FORBIDDEN);
    assert_eq!(shopper.get("/api/admin/queue/jobs?queue=post").await?.0, StatusCode::FORBIDDEN);
    for path in ["limits", "jobs/retry", "jobs/remove"] {
        let path = format!("/api/admin/queue/{path}");
        assert_eq!(shopper.post(&path, json!({"queue": "post"})).await?.0, StatusCode::FORBIDDEN);
    }
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_log where user_id = $1 order by id")
            .bind(operator.id.0)
            .fetch_all(lab.store().pool())
            .await?;
    let expected = [
        "queue.retry",
        "queue.retry",
        "queue.pause",
        "queue.resume",
        "queue.limit",
        "queue.remove",
        "queue.remove",
    ];
    assert_eq!(actions, expected);
    empty_a_named_queue(&lab, &operator).await
}

#[rstest]
#[tokio::test]
async fn what_went_through_a_named_queue_is_told_minute_by_minute(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[], &[]).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let (status, unknown) = operator.get("/api/admin/queue/history?queue=post").await?;
    assert_eq!((status, &unknown["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    for ending in [JobEnding::Completed, JobEnding::Completed, JobEnding::Failed("no".to_owned())] {
        lab.store().add_job(&job("a letter")).await?;
        run_next(&lab, ending).await?;
    }
    let (_, history) = operator.get("/api/admin/queue/history?queue=post&minutes=5").await?;
    let minutes = history["items"].as_array().ok_or("minutes")?;
    let sum = |field: &str| minutes.iter().filter_map(|minute| minute[field].as_u64()).sum::<u64>();
    assert_eq!((sum("completed"), sum("failed"), sum("batches")), (2, 1, 3), "{history}");
    assert!(minutes.iter().all(|minute| minute["meanBatchMs"] == 3), "{history}");
    for (of, completed) in [(0, 2), (1, 0)] {
        let path = format!("/api/admin/queue/history?queue=post&lane={of}&minutes=5");
        let (_, history) = operator.get(&path).await?;
        let minutes = history["items"].as_array().ok_or("minutes")?;
        let sum: u64 = minutes.iter().filter_map(|minute| minute["completed"].as_u64()).sum();
        assert_eq!(sum, completed, "{history}");
    }
    let (_, bookings) = operator.get("/api/admin/queue/history").await?;
    assert_eq!(bookings["items"], json!([]), "the bookings have a history of their own");
    for wrong in ["history?queue=post&eventId=1", "history?lane=1", "history?queue=post&lane=64"] {
        let (status, problem) = operator.get(&format!("/api/admin/queue/{wrong}")).await?;
        let told = (status, &problem["code"]);
        assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")), "{wrong}");
    }
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_job_of_a_named_queue_has_a_place_and_who_follows_the_queue_is_told_of_it(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[], &[]).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let named = lab.system.queue.named("post");
    let mut jobs = Vec::new();
    for word in ["first", "second", "third", "fourth", "fifth"] {
        jobs.push(lab.store().add_job(&job(word)).await?);
    }
    eventually("they are queued", async || {
        let queued = "select count(*) from jobs where number is not null";
        lab.count(queued).await.is_ok_and(|queued| queued == 5)
    })
    .await;
    let in_half_an_hour = Some(chrono::Utc::now() + chrono::Duration::minutes(30));
    let later = lab.store().add_job(&NewNamedJob { run_at: in_half_an_hour, ..job("later") }).await?;
    let places = async || -> Result<Vec<(Value, Value)>, Box<dyn std::error::Error>> {
        let (_, told) = operator.get("/api/admin/queue/jobs?queue=post&status=waiting").await?;
        let mut items = told["items"].as_array().ok_or("jobs")?.clone();
        items.reverse();
        Ok(items.into_iter().map(|job| (job["id"].clone(), job["place"].clone())).collect())
    };
    let told = |jobs: &[(Uuid, Option<u64>)]| -> Vec<(Value, Value)> {
        jobs.iter().map(|(id, place)| (json!(id), json!(place))).collect()
    };
    let with = |places: [u64; 5]| {
        let mut all: Vec<_> = jobs.iter().copied().zip(places.map(Some)).collect();
        all.push((later, None));
        told(&all)
    };
    assert_eq!(places().await?, with([1, 2, 3, 4, 5]));
    let events =
        async |after: &str| operator.get(&format!("/api/admin/queue/events?queue=post{after}")).await;
    let (_, before) = events("").await?;
    let after = format!("&after={}", before["next"].as_str().ok_or("where it stands")?);

    let batch = take_next(&lab, 2).await?;
    assert_eq!(places().await?, with([0, 0, 1, 2, 3]), "two are being done");
    let remove = json!({"queue": "post", "id": jobs[2]});
    let (_, removed) = operator.post("/api/admin/queue/jobs/remove", remove).await?;
    assert_eq!(removed, json!({"removed": 1}));
    let left =
        [(jobs[0], Some(0)), (jobs[1], Some(0)), (jobs[3], Some(1)), (jobs[4], Some(2)), (later, None)];
    assert_eq!(places().await?, told(&left), "nobody stands behind somebody who is gone");
    let busy = JobEnding::Later(Duration::from_mins(5), "busy".to_owned());
    let endings = [(batch.jobs[0].number, JobEnding::Completed), (batch.jobs[1].number, busy)];
    lab.store().note_attempt(jobs[0], Some("completed"), None).await?;
    named.settle_jobs(&batch, &endings, Duration::ZERO).await??;
    let left = [(jobs[1], None), (jobs[3], Some(1)), (jobs[4], Some(2)), (later, None)];
    assert_eq!(places().await?, told(&left), "one rests");
    operator.post("/api/admin/queue/jobs/promote", json!({"queue": "post", "id": later})).await?;
    let left = [(jobs[1], None), (jobs[3], Some(1)), (jobs[4], Some(2)), (later, Some(3))];
    assert_eq!(places().await?, told(&left), "one that was for later has its place now");

    operator.post("/api/admin/queue/jobs/remove", json!({"queue": "post", "id": later})).await?;
    assert_eq!(named.lane_state(lane(0)).await?.waiting, 2, "it has left by its new number");

    for (id, status, place) in [(jobs[4], "waiting", json!(2)), (jobs[0], "completed", Value::Null)] {
        let (_, one) = operator.get(&format!("/api/admin/queue/jobs?queue=post&id={id}")).await?;
        assert_eq!(one["items"].as_array().map(Vec::len), Some(1), "{one}");
        let one = &one["items"][0];
        assert_eq!((&one["id"], &one["status"], &one["place"]), (&json!(id), &json!(status), &place));
        assert_eq!(one["lane"], 0);
    }
    let unknown = format!("/api/admin/queue/jobs?queue=post&id={}", Uuid::now_v7());
    let (status, problem) = operator.get(&unknown).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));

    let (_, feed) = events(&after).await?;
    assert_eq!(feed["isGap"], false);
    let items = feed["items"].as_array().ok_or("entries")?;
    assert!(items.iter().all(|item| item["lane"] == 0 && item.get("eventId").is_none()), "{feed}");
    let kinds: Vec<&Value> = items.iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, ["claim", "done", "done", "add", "done"], "what is promoted gets its number");
    let numbers: Vec<u64> = batch.jobs.iter().map(|job| job.number).collect();
    let said = |at: usize| serde_json::from_str::<Value>(items[at]["data"].as_str().unwrap_or_default());
    let gone = &said(1)?["j"][0];
    assert_eq!((&gone[1], &gone[2]), (&json!(jobs[2]), &json!("removed")));
    let done = json!([[numbers[0], jobs[0], "completed"], [numbers[1], jobs[1], "later"]]);
    assert_eq!(said(2)?["j"], done);

    for wrong in ["", "?queue=post&eventId=1"] {
        let (status, problem) = operator.get(&format!("/api/admin/queue/events{wrong}")).await?;
        let told = (status, &problem["code"]);
        assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")), "{wrong}");
    }
    let (status, problem) = operator.get("/api/admin/queue/events?queue=no-such-queue").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let shopper = lab.shopper().await?;
    assert_eq!(shopper.get("/api/admin/queue/events?queue=post").await?.0, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn a_job_of_a_named_queue_that_rests_or_is_for_later_may_run_at_once() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let promote = async |id: Uuid| {
        let answer = operator.post("/api/admin/queue/jobs/promote", json!({"queue": "post", "id": id})).await;
        answer.map(|(status, problem)| (status, problem["code"].as_str().map(str::to_owned)))
    };
    let done = (StatusCode::NO_CONTENT, None::<String>);
    let not_delayed = (StatusCode::CONFLICT, Some("not_delayed".to_owned()));
    let not_found = (StatusCode::NOT_FOUND, Some("not_found".to_owned()));
    assert_eq!(promote(Uuid::now_v7()).await?, not_found, "there is no such queue");

    let rests = lab.store().add_job(&job("rests")).await?;
    let later = JobEnding::Later(Duration::from_mins(5), "busy".to_owned());
    assert_eq!(run_next(&lab, later).await?, rests);
    assert_eq!(promote(rests).await?, done);
    assert_eq!(run_next(&lab, JobEnding::Completed).await?, rests);
    assert_eq!(promote(rests).await?, not_found, "it is finished");

    // One that Redis has already, and one that it gets only within the hour before.
    for minutes in [30, 90] {
        let run_at = Some(chrono::Utc::now() + chrono::Duration::minutes(minutes));
        let for_later = lab.store().add_job(&NewNamedJob { run_at, ..job("for later") }).await?;
        let named = lab.system.queue.named("post");
        if minutes < 60 {
            eventually("it lies in Redis", async || {
                redis::cmd("ZCARD")
                    .arg(named.keys().delayed(lane(0)))
                    .query_async::<u64>(&mut named.connection())
                    .await
                    .is_ok_and(|kept| kept == 1)
            })
            .await;
        }
        assert_eq!(promote(for_later).await?, done);
        assert_eq!(promote(for_later).await?, not_delayed, "it waits for its turn");
        let (_, jobs) = operator.get("/api/admin/queue/jobs?queue=post&status=waiting").await?;
        assert_eq!((&jobs["items"][0]["id"], &jobs["items"][0]["runAt"]), (&json!(for_later), &Value::Null));
        if minutes > 60 {
            // It is for no later time any more, whatever Redis forgets.
            let () = redis::cmd("FLUSHALL").query_async(&mut named.connection()).await?;
        }
        assert_eq!(run_next(&lab, JobEnding::Completed).await?, for_later);
    }
    let written: Vec<String> =
        sqlx::query_scalar("select object from audit_log where action = 'queue.promote' and user_id = $1")
            .bind(operator.id.0)
            .fetch_all(lab.store().pool())
            .await?;
    assert_eq!(written.len(), 3, "{written:?}");
    assert!(written.contains(&format!("job {rests} of post")), "{written:?}");
    let shopper = lab.shopper().await?;
    let body = json!({"queue": "post", "id": rests});
    assert_eq!(shopper.post("/api/admin/queue/jobs/promote", body).await?.0, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn finished_jobs_of_a_named_queue_are_forgotten_and_no_others() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let clean = async |body: Value| operator.post("/api/admin/queue/jobs/clean", body).await;
    let (status, unknown) = clean(json!({"queue": "post"})).await?;
    assert_eq!((status, &unknown["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let failed = || JobEnding::Failed("no such address".to_owned());
    for ending in [failed(), JobEnding::Completed, JobEnding::Completed, failed()] {
        lab.store().add_job(&job("a letter")).await?;
        run_next(&lab, ending).await?;
    }
    let removed = lab.store().add_job(&job("not sent")).await?;
    assert_eq!(end_as_removed(lab.store(), "post", 1).await?, 1);
    let status: String = sqlx::query_scalar("select status from jobs where id = $1")
        .bind(removed)
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(status, "removed");
    let waits = lab.store().add_job(&job("waits")).await?;
    let other = lab.store().add_job(&NewNamedJob { queue: "another", ..job("done") }).await?;
    lab.store().note_attempt(other, Some("completed"), None).await?;

    let forgotten = async |body: Value| -> Result<(u64, Vec<String>), Box<dyn std::error::Error>> {
        let (status, answer) = clean(body).await?;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let left = sqlx::query_scalar("select status from jobs where queue = 'post' order by created_at, id");
        Ok((answer["removed"].as_u64().ok_or("a count")?, left.fetch_all(lab.store().pool()).await?))
    };
    let young = json!({"queue": "post", "olderThanSeconds": 3_600});
    let all = ["failed", "completed", "completed", "failed", "removed", "waiting"];
    assert_eq!(forgotten(young).await?, (0, all.map(str::to_owned).to_vec()));
    let two = json!({"queue": "post", "limit": 2});
    assert_eq!(
        forgotten(two).await?,
        (2, all[2..].iter().map(|word| (*word).to_owned()).collect()),
        "the oldest"
    );
    let of_failed = json!({"queue": "post", "state": "failed"});
    let left = ["completed", "removed", "waiting"].map(str::to_owned).to_vec();
    assert_eq!(forgotten(of_failed).await?, (1, left));
    assert_eq!(forgotten(json!({"queue": "post"})).await?, (2, vec!["waiting".to_owned()]));
    assert_eq!(forgotten(json!({"queue": "post"})).await?.0, 0);
    let left: Vec<Uuid> =
        sqlx::query_scalar("select id from jobs order by created_at").fetch_all(lab.store().pool()).await?;
    assert_eq!(left, [waits, other], "what waits, and what another queue has done");
    let named = lab.system.queue.named("post");
    for list in [named.keys().completed(lane(0)), named.keys().failed(lane(0))] {
        let kept: u64 = redis::cmd("LLEN").arg(&list).query_async(&mut named.connection()).await?;
        assert_eq!(kept, 0, "{list}");
    }
    let written = "select count(*) from audit_log where action = 'queue.clean' and object = 'post'";
    assert_eq!(lab.count(written).await?, 5);

    // One that failed and was retried with success is not there to be retried once more when the success is forgotten.
    while run_next(&lab, JobEnding::Completed).await? != waits {}
    let mut both = Vec::new();
    for _ in 0..2 {
        lab.store().add_job(&job("a letter")).await?;
        both.push(run_next(&lab, failed()).await?);
    }
    let retry = async |body: Value| operator.post("/api/admin/queue/jobs/retry", body).await;
    retry(json!({"queue": "post", "id": both[0]})).await?;
    run_next(&lab, JobEnding::Completed).await?;
    let of_completed = json!({"queue": "post", "state": "completed"});
    assert_eq!(
        forgotten(of_completed).await?,
        (3, vec!["failed".to_owned()]),
        "the failed one with its retry"
    );
    let (_, retried) = retry(json!({"queue": "post"})).await?;
    let originals: Vec<&Value> =
        retried["items"].as_array().ok_or("jobs")?.iter().map(|one| &one["retryOf"]).collect();
    assert_eq!(originals, [&json!(both[1])], "{retried}");
    let shopper = lab.shopper().await?;
    let (status, _) = shopper.post("/api/admin/queue/jobs/clean", json!({"queue": "post"})).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn it_is_told_how_each_attempt_of_a_job_failed(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[], &[]).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let later = |error: &str| JobEnding::Later(Duration::ZERO, error.to_owned());
    let told = async |status: &str| -> Result<Vec<(Value, Value)>, Box<dyn std::error::Error>> {
        let path = format!("/api/admin/queue/jobs?queue=post&status={status}");
        let (_, jobs) = operator.get(&path).await?;
        let items = jobs["items"].as_array().ok_or("jobs")?;
        Ok(items.iter().map(|job| (job["id"].clone(), job["errors"].clone())).collect())
    };
    let first = lab.store().add_job(&job("first")).await?;
    run_next(&lab, later("away")).await?;
    run_next(&lab, later("busy")).await?;
    assert_eq!(told("waiting").await?, [(json!(first), json!(["away", "busy"]))]);
    run_next(&lab, JobEnding::Failed("no such address".to_owned())).await?;
    let fresh = lab.store().add_job(&job("fresh")).await?;
    assert_eq!(told("failed").await?, [(json!(first), json!(["away", "busy", "no such address"]))]);
    assert_eq!(told("waiting").await?, [(json!(fresh), Value::Null)], "it has not failed");
    for attempt in 1..=25 {
        run_next(&lab, later(&format!("attempt {attempt}"))).await?;
    }
    let latest: Vec<String> = (6..=25).map(|attempt| format!("attempt {attempt}")).collect();
    assert_eq!(told("waiting").await?, [(json!(fresh), json!(latest))]);
    run_next(&lab, JobEnding::Completed).await?;
    assert_eq!(told("completed").await?, [(json!(fresh), Value::Null)]);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn it_is_told_what_is_in_each_lane_of_a_named_queue(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[], &[]).await?;
    let operator = lab.with_role(Role::Operator).await?;
    for ending in [JobEnding::Completed, JobEnding::Later(Duration::from_mins(5), "busy".to_owned())] {
        lab.store().add_job(&job("a letter")).await?;
        run_next(&lab, ending).await?;
    }
    let other_lane = || NewNamedJob { lane: 5, ..job("a parcel") };
    for _ in 0..3 {
        lab.store().add_job(&other_lane()).await?;
    }
    let run_at = Some(chrono::Utc::now() + chrono::Duration::minutes(30));
    lab.store().add_job(&NewNamedJob { run_at, ..other_lane() }).await?;
    let named = lab.system.queue.named("post");
    eventually("all of it lies in Redis", async || {
        named.lane_counts().await.is_ok_and(|lanes| {
            lanes.iter().any(|counts| (counts.lane, counts.waiting, counts.resting) == (5, 3, 1))
        })
    })
    .await;
    let Claim::Batch(_) = named.claim_as::<Job>(lane(5), "w", 2).await? else {
        return Err("a batch".into());
    };
    let (_, queues) = operator.get("/api/admin/queue/named").await?;
    let post = &queues["items"][0];
    assert_eq!((&post["queue"], &post["waiting"]), (&json!("post"), &json!(5)), "what is not finished");
    assert_eq!((&post["active"], &post["completed"]), (&json!(2), &json!(1)));
    let told = |lane, [waiting, active, resting]: [u64; 3], completed, paused, worker: Value| {
        json!({"lane": lane, "waiting": waiting, "active": active, "resting": resting, "completed": completed,
            "failed": 0, "paused": paused, "worker": worker})
    };
    let empty = told(0, [0, 0, 1], 1, false, Value::Null);
    assert_eq!(post["lanes"], json!([empty, told(5, [1, 2, 1], 0, false, json!("w"))]));

    let lane_5 = json!({"queue": "post", "lane": 5});
    let (status, paused) = operator.post("/api/admin/queue/pause", lane_5.clone()).await?;
    assert_eq!((status, paused), (StatusCode::OK, json!({"paused": true, "scope": "post, lane 5"})));
    let (_, queues) = operator.get("/api/admin/queue/named").await?;
    let post = &queues["items"][0];
    assert_eq!(post["paused"], false, "the others go on");
    assert_eq!(post["lanes"], json!([empty, told(5, [1, 2, 1], 0, true, json!("w"))]));
    let other = lab.store().add_job(&NewNamedJob { lane: 7, ..job("a card") }).await;
    assert!(other.is_ok());
    eventually("a lane beside it is claimed", async || {
        matches!(named.claim_as::<Job>(lane(7), "w", 2).await, Ok(Claim::Batch(_)))
    })
    .await;
    operator.post("/api/admin/queue/resume", lane_5).await?;
    assert!(!named.lane_state(lane(5)).await?.own_pause.paused);
    let limit = json!({"queue": "post", "lane": 6, "maxJobs": 1, "windowMs": 60_000});
    assert_eq!(operator.post("/api/admin/queue/limits", limit.clone()).await?, (StatusCode::OK, limit));
    for _ in 0..2 {
        lab.store().add_job(&NewNamedJob { lane: 6, ..job("a postcard") }).await?;
    }
    eventually("both are queued", async || {
        named.lane_state(lane(6)).await.is_ok_and(|state| state.waiting == 2)
    })
    .await;
    let Claim::Batch(batch) = named.claim_as::<Job>(lane(6), "w", 2).await? else {
        return Err("a batch".into());
    };
    assert_eq!(batch.jobs.len(), 1, "one a minute");
    for wrong in [json!({"lane": 5}), json!({"queue": "post", "lane": 64})] {
        let (status, problem) = operator.post("/api/admin/queue/pause", wrong.clone()).await?;
        let told = (status, &problem["code"]);
        assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn a_limited_lane_decides_no_more_than_its_share() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    let (other, ..) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let limit = json!({"eventId": event, "maxJobs": 2, "windowMs": 60_000});
    operator.post("/api/admin/queue/limits", limit).await?;
    let shoppers = lab.shoppers(5).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    assert_eq!(shoppers[1].outcome(&jobs[1]).await?["status"], "completed");
    let free = shoppers[0].book(other, json!({"quantity": 1})).await?;
    assert_eq!(shoppers[0].outcome(&free).await?["status"], "completed", "others are not limited by it");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shoppers[2].status(&jobs[2]).await?["place"], 1, "the third waits for the next window");
    operator.post("/api/admin/queue/limits", json!({"eventId": event})).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    for wrong in [
        json!({"eventId": event, "maxJobs": 2}),
        json!({"eventId": event, "maxJobs": 0, "windowMs": 1_000}),
        json!({"eventId": event, "lanesAtOnce": 1}),
        json!({"lanesAtOnce": 0}),
        json!({"lanesAtOnce": 7}),
        json!({"maxJobs": 7, "windowMs": 1_000}),
        json!({"eventId": event, "queue": "post"}),
    ] {
        let (status, problem) = operator.post("/api/admin/queue/limits", wrong.clone()).await?;
        let told = (status, &problem["code"]);
        assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")), "{wrong}");
    }
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_limit_of_all_bookings_is_never_exceeded_by_all_events_together() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let limit = json!({"maxJobs": 8, "windowMs": 60_000});
    operator.post("/api/admin/queue/limits", limit).await?;
    let shoppers = lab.shoppers(2).await?;
    let mut jobs = Vec::new();
    // Their ids follow one another, so there are two in some partitions.
    for _ in 0..12 {
        let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
        for shopper in &shoppers {
            jobs.push((event, shopper.book(event, json!({"quantity": 1})).await?));
        }
    }
    let decided = async || -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("select count(*) from job_outcomes").fetch_one(lab.store().pool()).await
    };
    eventually("each partition has decided its share", async || decided().await.is_ok_and(|now| now == 8))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(decided().await?, 8, "the others wait for the next window");
    operator.post("/api/admin/queue/limits", json!({})).await?;
    eventually("all are decided without a limit", async || {
        decided().await.is_ok_and(|now| now == i64::try_from(jobs.len()).unwrap_or_default())
    })
    .await;
    let details = operator.get(&format!("/api/admin/queue/details?eventId={}", jobs[0].0)).await?.1;
    assert_eq!(
        (&details["lanes"][0]["completedCount"], &details["lanes"][0]["failedCount"]),
        (&json!(2), &json!(0))
    );
    Ok(())
}

/// Somebody who follows what happens.
struct Follower {
    operator: Shopper,
    path: String,
    event: EventId,
    /// All that was read.
    items: Vec<Value>,
    /// From where to go on.
    next: Option<String>,
}

impl Follower {
    /// Reads a page; false when nothing has come.
    async fn read_on(&mut self) -> Result<bool, reqwest::Error> {
        let after = self.next.as_ref().map(|next| format!("&after={next}")).unwrap_or_default();
        let (_, page) = self.operator.get(&format!("{}{after}", self.path)).await?;
        assert_eq!(page["isGap"], false, "{page}");
        self.next = page["next"].as_str().map(str::to_owned);
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let has_come = !items.is_empty();
        self.items.extend(items);
        Ok(has_come)
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let event = json!(self.event);
        let items = self.items.iter().filter(move |item| item["kind"] == kind && item["eventId"] == event);
        items.filter_map(|item| item["data"].as_str())
    }

    /// The numbers of the jobs that were added, as they were told.
    fn added(&self) -> Vec<i64> {
        let numbers = |data: &str| {
            let mut parts = data.split(':').map_while(|part| part.parse::<i64>().ok());
            let (first, count) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
            first..first + count
        };
        self.of("add").flat_map(numbers).collect()
    }

    /// Of those that have ended.
    fn ended(&self) -> Vec<i64> {
        let done = self.of("done").filter_map(|data| serde_json::from_str::<Done>(data).ok());
        done.flat_map(|done| done.outcomes().map(|(number, ..)| number.cast_signed()).collect::<Vec<_>>())
            .collect()
    }
}

#[tokio::test]
async fn what_happens_can_be_followed_without_loss() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 20)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(12).await?;
    let path = format!("/api/admin/queue/events?eventId={event}&limit=5");
    let mut follower =
        Follower { operator: operator.clone(), path: path.clone(), event, items: Vec::new(), next: None };
    // Beside those who book, away while two do, and beside the others again, from where it was.
    for (some, until) in [(&shoppers[..5], 5), (&shoppers[5..7], 0), (&shoppers[7..], 12)] {
        let booking = async {
            for shopper in some {
                let job = shopper.book(event, json!({"quantity": 1})).await?;
                shopper.outcome(&job).await?;
            }
            Ok::<_, Box<dyn std::error::Error>>(())
        };
        let following = eventually("it is told of everybody", async || {
            follower.ended().len() >= until || {
                let read = follower.read_on().await;
                read.is_ok() && follower.ended().len() >= until
            }
        });
        let (booked, ()) = tokio::join!(booking, following);
        booked?;
    }
    while follower.read_on().await? {}
    let decided: Vec<i64> =
        sqlx::query_scalar("select number from job_outcomes where event_id = $1 order by number")
            .bind(event.0)
            .fetch_all(lab.store().pool())
            .await?;
    assert_eq!(decided.len(), 12);
    assert_eq!(follower.added(), decided, "each was told to have come, once and in order");
    assert_eq!(follower.ended(), decided, "and to have ended");
    let mut claimed: Vec<i64> = follower.of("claim").filter_map(|upto| upto.parse().ok()).collect();
    // One that had to be tried again is claimed again.
    claimed.dedup();
    assert_eq!(claimed, decided, "and to be decided, as each came alone");
    let seqs: Vec<u64> = follower.items.iter().filter_map(|item| item["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    let (_, gap) = operator.get(&format!("{path}&after=1000-0")).await?;
    assert_eq!(gap["isGap"], true);
    let (status, problem) = operator.get(&format!("{path}&after=nonsense")).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")));
    let shopper = &shoppers[0];
    assert_eq!(shopper.get(&path).await?.0, StatusCode::FORBIDDEN);
    Ok(())
}

#[rstest]
#[tokio::test]
async fn finished_jobs_are_forgotten_by_age(#[values(Site::Single, Site::Cluster)] site: Site) -> TestResult {
    let lab = Lab::start_at(site, &[Part::Gateway, Part::Worker], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    for shopper in lab.shoppers(2).await? {
        shopper.outcome(&shopper.book(event, json!({"quantity": 1})).await?).await?;
    }
    let kept = async || {
        let jobs = lab.system.queue.finished_jobs(event, Finished::Completed).await;
        jobs.ok().map(|jobs| jobs.len())
    };
    eventually("both are kept", async || kept().await == Some(2)).await;
    let named = lab.system.queue.named("post");
    named.begin_epoch(partition(), "", 0).await?;
    named.copy_controls(partition(), &Controls::default()).await?;
    lab.store().add_job(&job("a letter")).await?;
    Sweeps::new(lab.store().clone(), lab.system.queue.clone()).queue_jobs().await?;
    run_next(&lab, JobEnding::Completed).await?;
    let letters = async || -> Option<u64> {
        let kept = redis::cmd("LLEN").arg(named.keys().completed(lane(0))).to_owned();
        kept.query_async(&mut named.connection()).await.ok()
    };
    let clean = |seconds: u32| json!({"state": "completed", "eventId": event, "olderThanSeconds": seconds, "limit": 1});
    let removed = async |seconds: u32| -> Result<Value, reqwest::Error> {
        Ok(operator.post("/api/admin/queue/clean", clean(seconds)).await?.1["removed"].clone())
    };
    assert_eq!(removed(3_600).await?, 0);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(removed(1).await?, 1);
    // The sweeper does the same by itself, for what is older than is kept.
    Sweeps::new(lab.store().clone(), lab.system.queue.clone()).forget_old(400).await?;
    assert_eq!((kept().await, letters().await), (Some(1), Some(1)), "a week has not passed");
    let sweeper = lab.add_with(&[Part::Sweeper], &["--queue-keep-finished-s=1"]).await?;
    eventually("the sweeper has forgotten the other one", async || kept().await == Some(0)).await;
    eventually("nor is anything kept of a letter", async || letters().await == Some(0)).await;
    sweeper.stop().await;
    Ok(())
}
