//! Redis that goes away, comes back with its data, a second behind, or empty.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use shared::domain::{AreaId, SeatId};
use standalone::servers::{Listen, PrivateRedis, RedisOptions};
use standalone::settings::Part;

use super::{Mix, SLOW_COMMITS, book_at_last, decided, queue_up};
use crate::lab::{End, EventPlan, Lab, Passage, TestResult, assert_invariants, eventually, make_event};

/// Places of these jobs, as their owners are told them; `None` where one is not known.
async fn places(shoppers: &[crate::lab::Shopper], jobs: &[String]) -> Vec<Option<u64>> {
    let told = shoppers.iter().zip(jobs).map(|(shopper, job)| async move {
        shopper.status(job).await.ok().and_then(|status| status["place"].as_u64())
    });
    futures_util::future::join_all(told).await
}

#[derive(Clone, Copy, PartialEq)]
enum Return {
    WithData,
    Behind,
    Empty,
}

/// `is_rushed`: the queue is resumed, with somebody new in it, before anybody could look what is missing.
async fn redis_returns(how: Return, is_rushed: bool) -> TestResult {
    let mut lab = Lab::start().await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 60, ..EventPlan::hall(20, 20) }).await?;
    let event = mix.event;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"message": "before the fault"})).await?;
    let shoppers = lab.shoppers(150).await?;
    let mut jobs = mix.queue_up(&shoppers[..100], 0).await?;
    let snapshot = (how == Return::Behind).then(|| lab.servers.redis.snapshot_aof()).transpose()?;
    jobs.extend(mix.queue_up(&shoppers[100..], 100).await?);
    eventually("places are known", async || places(&shoppers, &jobs).await.iter().all(Option::is_some)).await;
    let before = places(&shoppers, &jobs).await;
    lab.servers.redis.kill();
    let (status, refused) =
        shoppers[0].post(&format!("/api/bookings/{event}/book"), json!({"quantity": 2})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("queue_unavailable")));
    assert_eq!(shoppers[0].get("/api/events").await?.0, StatusCode::OK, "browsing works");
    match (how, &snapshot) {
        (Return::WithData, _) => lab.servers.redis.restart().await?,
        (Return::Behind, Some(snapshot)) => lab.servers.redis.restart_behind(snapshot).await?,
        (Return::Behind | Return::Empty, _) => lab.servers.redis.restart_empty().await?,
    }
    if !is_rushed {
        eventually("everybody is back", async || {
            lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.waiting == 150)
        })
        .await;
        eventually("in their place", async || places(&shoppers, &jobs).await == before).await;
    }
    let status = shoppers[0].status(&jobs[0]).await?;
    assert_eq!(status["paused"], true, "the pause outlives Redis: {status}");
    assert_eq!(decided(&lab, event).await?, 0, "nothing was decided during the pause");
    let mut late = String::new();
    eventually("booking works again", async || {
        let booked = shoppers[0].book(event, json!({"quantity": 2})).await;
        booked.is_ok_and(|job| {
            late = job;
            true
        })
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(shoppers[0].outcome(&late).await?["status"], "completed");
    assert_eq!(decided(&lab, event).await?, 151);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn redis_restarted_with_its_data_loses_nothing() -> TestResult {
    redis_returns(Return::WithData, false).await
}

#[tokio::test]
async fn redis_restarted_behind_gets_its_jobs_back() -> TestResult {
    redis_returns(Return::Behind, false).await
}

#[tokio::test]
async fn redis_restarted_empty_gets_everybody_back_in_their_place() -> TestResult {
    redis_returns(Return::Empty, false).await
}

#[tokio::test]
async fn nobody_new_is_decided_before_those_whom_a_redis_behind_forgot() -> TestResult {
    redis_returns(Return::Behind, true).await
}

#[tokio::test]
async fn nobody_new_is_decided_before_those_whom_an_empty_redis_forgot() -> TestResult {
    redis_returns(Return::Empty, true).await
}

#[tokio::test]
async fn redis_lost_in_the_midst_of_a_rush_neither_loses_nor_doubles() -> TestResult {
    let mut lab = Lab::start_with(&[], &["--worker-max-batch=25"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(10, 30)).await?;
    // One that has nothing but an area.
    let (club, _, floor) = make_event(lab.store(), &EventPlan::club(20)).await?;
    let shoppers = lab.shoppers(400).await?;
    let standing = shoppers[0].book(club, json!({"areaId": floor, "quantity": 2})).await?;
    assert_eq!(shoppers[0].outcome(&standing).await?["status"], "completed");
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let jobs = queue_up(&shoppers, event).await?;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    eventually("some are decided", async || decided(&lab, event).await.is_ok_and(|now| now > 20)).await;
    // As if they were held for a while already: what is left is less than a whole hold.
    let seats: Vec<(i64, i64, i64)> = sqlx::query_as(
        "update seat_claims set expires_at = expires_at - interval '5 minutes' where event_id = $1
         returning seat_id, user_id, (extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint",
    )
    .bind(event.0)
    .fetch_all(lab.store().pool())
    .await?;
    let slots: Vec<(i32, i64, i64)> = sqlx::query_as(
        "update area_claims set expires_at = expires_at - interval '5 minutes' where event_id = $1
         returning slot, user_id, (extract(epoch from expires_at - clock_timestamp()) * 1000)::bigint",
    )
    .bind(club.0)
    .fetch_all(lab.store().pool())
    .await?;
    assert_eq!(slots.len(), 2);
    lab.servers.redis.kill();
    let before = decided(&lab, event).await?;
    assert!((1..400).contains(&before), "it is not in the midst: {before} of 400 are decided");
    lab.servers.redis.restart_empty().await?;
    let keys = lab.system.queue.keys();
    let seats = seats
        .into_iter()
        .map(|(seat, user, left_ms)| (keys.seat_reserved(event, SeatId(seat)), user, left_ms));
    let slots = slots.into_iter().map(|(slot, user, left_ms)| {
        (keys.slot_reserved(club, AreaId(floor), slot.unsigned_abs()), user, left_ms)
    });
    let held: Vec<(String, i64, i64)> = seats.chain(slots).collect();
    let mut redis = redis::Client::open(lab.servers.redis.url())?.get_multiplexed_async_connection().await?;
    let mut shown = redis::pipe();
    for (key, ..) in &held {
        shown.cmd("GET").arg(key).cmd("PTTL").arg(key);
    }
    eventually("who holds what is shown again, for no longer than they do", async || {
        let shown: Result<Vec<i64>, _> = shown.query_async(&mut redis).await;
        let is_right = |(key, (_, user, left_ms)): (&[i64], &(String, i64, i64))| {
            matches!(key, [owner, ttl_ms] if owner == user && (1..=*left_ms).contains(ttl_ms))
        };
        shown.is_ok_and(|shown| {
            shown.len() == held.len() * 2 && shown.chunks(2).zip(&held).all(is_right)
        })
    })
    .await;
    lab.until_decided(event, jobs.len()).await?;
    assert_eq!(decided(&lab, event).await?, 400);
    let won: i64 =
        sqlx::query_scalar("select count(*) from job_outcomes where event_id = $1 and status = 'completed'")
            .bind(event.0)
            .fetch_one(lab.store().pool())
            .await?;
    assert_eq!(won, 300);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_reference_brings_its_job_back_when_gateway_and_redis_are_lost_together() -> TestResult {
    let mut lab = Lab::start_with(&[Part::Worker, Part::Sweeper], &[]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let gateway = lab.add(&[Part::Gateway]).await?;
    let operator = lab.with_role(Role::Operator).await?.at(&gateway.url);
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shopper = lab.shopper().await?.at(&gateway.url);
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    gateway.stop().await;
    lab.servers.redis.kill();
    lab.servers.redis.restart_empty().await?;
    let gateway = lab.add(&[Part::Gateway]).await?;
    let (shopper, operator) = (shopper.at(&gateway.url), operator.at(&gateway.url));
    eventually("asking is enough to be back", async || {
        shopper.status(&job).await.is_ok_and(|status| status["place"] == 1)
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    gateway.stop().await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_gateway_puts_back_what_waited_when_it_started() -> TestResult {
    let mut lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 20)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let replaced = lab.add(&[Part::Gateway]).await?;
    let shoppers = lab.shoppers(20).await?;
    let there: Vec<_> = shoppers.iter().map(|shopper| shopper.at(&replaced.url)).collect();
    let jobs = queue_up(&there, event).await?;
    let successor = lab.add(&[Part::Gateway]).await?;
    replaced.stop().await;
    lab.servers.redis.kill();
    lab.servers.redis.restart_empty().await?;
    eventually("everybody is back before anybody has asked", async || {
        lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.waiting == 20)
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.at(&successor.url).outcome(job).await?["status"], "completed");
    }
    successor.stop().await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_full_redis_refuses_new_jobs_and_drains() -> TestResult {
    let lab = Lab::start_with(&[], &["--queue-watermark=0.5"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let (shopper, operator) = (lab.shopper().await?, lab.with_role(Role::Operator).await?);
    let mut redis = redis::Client::open(lab.servers.redis.url())?.get_multiplexed_async_connection().await?;
    let (status, _) = operator.post("/api/admin/queue/pause", json!({})).await?;
    assert_eq!(status, StatusCode::OK);
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query_async(&mut redis).await?;
    let used: u64 = info.get("used_memory").ok_or("how much is used")?;
    let mut limit = async |bytes: u64| -> redis::RedisResult<()> {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async(&mut redis).await
    };
    let book = async || shopper.post(&format!("/api/bookings/{event}/book"), json!({"quantity": 2})).await;
    let is_refused = async || {
        book().await.is_ok_and(|(status, body)| {
            status == StatusCode::SERVICE_UNAVAILABLE && body["code"] == "queue_full"
        })
    };
    limit(used * 5 / 4).await?;
    eventually("new jobs are refused at four fifths", async || is_refused().await).await;
    limit(used * 4).await?;
    let mut second = String::new();
    eventually("and taken in at a quarter", async || {
        let booked = book().await.ok().filter(|(status, _)| *status == StatusCode::ACCEPTED);
        second = booked.and_then(|(_, body)| body["jobId"].as_str().map(str::to_owned)).unwrap_or_default();
        !second.is_empty()
    })
    .await;
    // Beyond the limit itself Redis refuses enqueues, and lets the rest of the scripts through.
    limit(1).await?;
    eventually("new jobs are refused again", async || is_refused().await).await;
    assert_eq!(decided(&lab, event).await?, 0, "both wait in a full Redis");
    let (status, _) = operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(status, StatusCode::OK);
    for job in [&job, &second] {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert!(is_refused().await, "it is full");
    let (status, _) = operator.post("/api/admin/queue/pause", json!({})).await?;
    assert_eq!(status, StatusCode::OK);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_redis_that_hangs_for_five_seconds_is_waited_for() -> TestResult {
    let lab = Lab::start_with(&[], &["--worker-max-batch=25"]).await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 60, ..EventPlan::hall(20, 20) }).await?;
    let event = mix.event;
    let shoppers = lab.shoppers(200).await?;
    // Nothing can be decided until this ends, so whoever has the lane has jobs at hand.
    let mut held = lab.store().pool().begin().await?;
    sqlx::query("select from lanes where event_id = $1 for update").bind(event.0).execute(&mut *held).await?;
    let jobs = mix.queue_up(&shoppers[..150], 0).await?;
    eventually("a batch is under lease", async || {
        lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.lease.is_some() && lane.active > 0)
    })
    .await;
    lab.servers.redis.pause()?;
    held.rollback().await?;
    let late = shoppers[150..].iter().map(|shopper| book_at_last(shopper, event));
    let late = futures_util::future::join_all(late);
    let wake = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        lab.servers.redis.resume()
    };
    let (late, woken) = tokio::join!(late, wake);
    woken?;
    for (shopper, job) in shoppers.iter().zip(jobs.iter().chain(&late)) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(decided(&lab, event).await?, 200, "nobody twice");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_runs_out_while_redis_hangs_is_free_in_time() -> TestResult {
    let lab = Lab::start().await?;
    // Each event is told of with a call of its own, and each call waits for its time-out.
    let plan = EventPlan { hold_seconds: 6, ..EventPlan::hall(1, 10) };
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(make_event(lab.store(), &plan).await?.0);
    }
    let shoppers = lab.shoppers(40).await?;
    for (nth, shopper) in shoppers.iter().enumerate() {
        let job = shopper.book(events[nth % events.len()], json!({"quantity": 1})).await?;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    }
    lab.servers.redis.pause()?;
    // How many are held, and by how many seconds the one that is most overdue is late.
    let held = "select count(*), coalesce(max(extract(epoch from clock_timestamp() - expires_at)), 0)::float8
         from seat_claims where status = 'reserved'";
    let mut latest = 0_f64;
    eventually("all of it is free", async || {
        let found = sqlx::query_as::<_, (i64, f64)>(held).fetch_one(lab.store().pool()).await;
        let (left, late) = found.unwrap_or((i64::MAX, 0.0));
        latest = latest.max(late);
        left == 0
    })
    .await;
    lab.servers.redis.resume()?;
    // One pass that waited for its four calls would make the next one eight seconds late.
    assert!(latest < 3.0, "a reservation was still there {latest} s after its time");
    for (nth, shopper) in shoppers.iter().enumerate() {
        let job = book_at_last(shopper, events[nth % events.len()]).await;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed", "what came free goes to the next");
    }
    for event in events {
        assert_invariants(lab.store(), event).await?;
    }
    Ok(())
}

#[tokio::test]
async fn connections_that_redis_cuts_are_made_anew() -> TestResult {
    let lab = Lab::start_with(&[], &["--worker-max-batch=25"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(10, 30)).await?;
    let shoppers = lab.shoppers(300).await?;
    let mut redis = redis::Client::open(lab.servers.redis.url())?.get_multiplexed_async_connection().await?;
    let cut = async {
        for _ in 0..20 {
            for kind in ["normal", "pubsub"] {
                let kill = ["KILL", "TYPE", kind, "SKIPME", "yes"];
                let () = redis::cmd("CLIENT").arg(&kill).query_async(&mut redis).await?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, redis::RedisError>(())
    };
    let booked = futures_util::future::join_all(shoppers.iter().map(|shopper| book_at_last(shopper, event)));
    let (jobs, cut) = tokio::join!(booked, cut);
    cut?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(decided(&lab, event).await?, 300, "nobody twice");
    assert_invariants(lab.store(), event).await
}

fn port(redis: &PrivateRedis) -> Result<u16, Box<dyn std::error::Error>> {
    Ok(redis.url().rsplit(':').next().unwrap_or_default().parse()?)
}

/// Makes one a replica of the other, whose port it is; `None`: a primary.
async fn follow(redis: &PrivateRedis, primary: Option<u16>) -> TestResult {
    let mut connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let (host, port) = primary.map_or(("NO", "ONE".to_owned()), |port| ("127.0.0.1", port.to_string()));
    let () = redis::cmd("REPLICAOF").arg(host).arg(port).query_async(&mut connection).await?;
    Ok(())
}

#[tokio::test]
async fn a_primary_that_was_made_a_replica_is_left_for_the_new_one() -> TestResult {
    let dir = tempfile::tempdir()?;
    let at_once = ("repl-diskless-sync-delay".to_owned(), "0".to_owned());
    let options =
        RedisOptions { listen: Listen::Loopback, settings: vec![at_once], ..RedisOptions::throwaway() };
    let old = PrivateRedis::start(&dir.path().join("old"), options.clone()).await?;
    let new = PrivateRedis::start(&dir.path().join("new"), options).await?;
    follow(&new, Some(port(&old)?)).await?;
    let passage = Passage::to(End::Port(port(&old)?)).await?;
    let url = format!("--redis-url=redis://127.0.0.1:{}", passage.port());
    let lab = Lab::start_with(&[], &[&url]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(5, 20)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"message": "a failover"})).await?;
    let shoppers = lab.shoppers(60).await?;
    let mut jobs = queue_up(&shoppers[..30], event).await?;
    let mut redis = redis::Client::open(old.url())?.get_multiplexed_async_connection().await?;
    let (write, wait) =
        (redis::cmd("SET").arg("last").arg(1).to_owned(), redis::cmd("WAIT").arg(1).arg(400).to_owned());
    eventually("the replica has it all", async || {
        // It is waited for what this connection wrote, and so for all before.
        write.query_async::<()>(&mut redis).await.is_ok()
            && wait.query_async::<u32>(&mut redis).await.is_ok_and(|replicas| replicas == 1)
    })
    .await;

    // Nothing is cut: whoever is connected stays with what is a replica now.
    follow(&new, None).await?;
    follow(&old, Some(port(&new)?)).await?;
    passage.lead_to(End::Port(port(&new)?));

    for shopper in &shoppers[30..] {
        jobs.push(book_at_last(shopper, event).await);
    }
    let waiting = async || lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.waiting == 60);
    eventually("everybody is in line at the new primary", waiting).await;
    eventually("the queue is resumed", async || {
        let resumed = operator.post("/api/admin/queue/resume", json!({})).await;
        resumed.is_ok_and(|(status, _)| status == StatusCode::OK)
    })
    .await;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(decided(&lab, event).await?, 60, "nobody twice");
    assert_invariants(lab.store(), event).await
}
