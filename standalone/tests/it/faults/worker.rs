//! Workers that die, stall, or fail by themselves.

use std::collections::HashSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use apalis_core::backend::Backend as _;
use apalis_core::worker::context::WorkerContext;
use nix::sys::signal::{Signal, kill};
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::{EventId, Outcome, Refusal};
use shared::queue::claim::{Claim, ClaimedJob, Lease};
use shared::queue::inspect::{LaneState, LeaseState};
use shared::queue::settle::{Decided, Ending};
use shared::store::{BatchWrite, Commit};
use standalone::settings::Part;
use tokio_util::sync::CancellationToken;
use worker::lane_source::{LaneSource, Scheduler};

use super::{Mix, Moments, SLOW_COMMITS, decided, queue_up};
use crate::lab::{
    EventPlan, Lab, PATIENCE, Site, TestResult, UsherProcess, assert_invariants, eventually, make_event,
};

/// Workers are killed so many times while so many jobs are decided, in the midst of whatever they do.
async fn kill_workers(site: Site, rows: i32, jobs: usize, wanted_kills: u32) -> TestResult {
    // A batch takes 40 ms at least, so a life ends before seven of them are decided: jobs for 140 a life are enough.
    const LIFE: Duration = Duration::from_millis(150);
    // Leases are short, as each death is followed by the wait for the end of one.
    let words = [
        "--worker-max-batch=20",
        "--queue-lease-ms=1500",
        "--database-statement-timeout-ms=1200",
        "--database-lock-timeout-ms=1200",
    ];
    let lab = Lab::start_at(site, &[Part::Gateway, Part::Sweeper], &words).await?;
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let standing = i32::try_from(jobs / 10)?;
    let mix = Mix::make(&lab, &EventPlan { standing, ..EventPlan::hall(rows, 20) }).await?;
    let event = mix.event;
    let shoppers = lab.shoppers(jobs).await?;
    let all = i64::try_from(jobs)?;
    let mut moments = Moments::new();
    let queueing = mix.queue_up(&shoppers, 0);
    let killing = async {
        let (mut last, mut under_lease) = (0_u64, 0_u32);
        for kills in 0..wanted_kills {
            let mut worker = lab.spawn("worker")?;
            // What the one before had sent is still being decided when this one starts; only a lease says whose turn it is.
            eventually("the worker has the lane", async || {
                let lease = lab.system.queue.lane_state(event).await.ok().and_then(|lane| lane.lease);
                lease.is_some_and(|lease| lease.fence > last)
            })
            .await;
            tokio::time::sleep(moments.next(LIFE)).await;
            worker.kill();
            let before = decided(&lab, event).await?;
            assert!(before < all, "only {kills} workers were killed before everything was decided");
            if let Some(lease) = lab.system.queue.lane_state(event).await?.lease {
                last = lease.fence;
                under_lease += 1;
            }
        }
        Ok::<_, Box<dyn std::error::Error>>(under_lease)
    };
    let (queued, under_lease) = tokio::try_join!(queueing, killing)?;
    assert!(
        under_lease * 2 > wanted_kills,
        "{under_lease} of {wanted_kills} had the lane when they were killed"
    );
    sqlx::raw_sql("drop trigger dawdle on job_outcomes").execute(lab.store().pool()).await?;
    let _last = lab.spawn("worker")?;
    lab.until_decided(event, queued.len()).await?;
    assert_eq!(decided(&lab, event).await?, all);
    // The settlement that a killed worker owed is made up for as well.
    eventually("nobody waits", async || {
        lab.system.queue.lane_state(event).await.is_ok_and(|lane| lane.waiting + lane.active == 0)
    })
    .await;
    let stalled = lab.system.queue.lane_state(event).await?.stalled;
    assert!(
        stalled >= u64::from(under_lease),
        "{stalled} leases have run out, {under_lease} were left behind"
    );
    assert_invariants(lab.store(), event).await
}

#[rstest]
#[tokio::test]
async fn killed_workers_lose_nothing_and_decide_nothing_twice(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    kill_workers(site, 45, 1_200, 6).await
}

#[tokio::test]
async fn soak_two_hundred_killed_workers_lose_nothing_and_decide_nothing_twice() -> TestResult {
    kill_workers(Site::Single, 1_000, 50_000, 200).await
}

/// Nobody has a transaction open in which nothing goes on.
async fn is_at_rest(lab: &Lab) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select not exists (select from pg_stat_activity
             where datname = current_database() and state like 'idle in transaction%')",
    )
    .fetch_one(lab.store().pool())
    .await
}

/// Stops a process that has a lease on the lane, between two of its transactions and with jobs at hand; the
/// lane as it stands then, and the lease.
async fn stop_under_lease(
    lab: &Lab,
    event: EventId,
    process: &UsherProcess,
) -> Result<(LaneState, LeaseState), Box<dyn std::error::Error>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "it was never stopped under a lease");
        let before = lab.system.queue.lane_state(event).await?;
        if before.lease.is_some() {
            kill(process.pid(), Signal::SIGSTOP)?;
            // What it had sent already is done by then.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let lane = lab.system.queue.lane_state(event).await?;
            if let Some(lease) = lane.lease.clone()
                && lane.active > 0
                && is_at_rest(lab).await?
            {
                return Ok((lane, lease));
            }
            kill(process.pid(), Signal::SIGCONT)?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_worker_that_wakes_up_too_late_is_refused(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    // Others look at the lanes once a second.
    const PROMISED_MS: u64 = 1_000;
    // For a machine that has other things to do.
    const BUSY_MS: u64 = 250;
    let words = [
        "--worker-max-batch=50",
        "--queue-lease-ms=2500",
        "--database-statement-timeout-ms=1200",
        "--database-lock-timeout-ms=1200",
    ];
    let lab = Lab::start_at(site, &[Part::Gateway, Part::Sweeper], &words).await?;
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(20, 50)).await?;
    let shoppers = lab.shoppers(1_000).await?;
    queue_up(&shoppers[..900], event).await?;
    let logs = lab.servers.dir().join("sleeper.log");
    let sleeper = lab.spawn_logging("worker", &logs)?;
    let (lane, lost) = stop_under_lease(&lab, event, &sleeper).await?;
    let successor = lab.add(&[Part::Worker]).await?;
    let (seconds, micros): (u64, u64) =
        redis::cmd("TIME").query_async(&mut lab.system.queue.connection()).await?;
    let there_ms = seconds * 1_000 + micros / 1_000;
    let mut found = None;
    eventually("somebody else has the lane", async || {
        let lease = lab.system.queue.lane_state(event).await.ok().and_then(|lane| lane.lease);
        found = lease.filter(|lease| lease.fence > lost.fence);
        found.is_some()
    })
    .await;
    let found = found.ok_or("a lease")?;
    assert_eq!(found.fence, lost.fence + 1);
    assert_ne!(found.worker, lost.worker);
    assert!(found.since_ms >= lost.until_ms, "not before the lease had run out");
    // By Redis' clock alone, and from when there was somebody to find it.
    let after_ms = found.since_ms.saturating_sub(lost.until_ms.max(there_ms));
    assert!(after_ms <= PROMISED_MS + BUSY_MS, "the lane was found {after_ms} ms after the end of the lease");
    queue_up(&shoppers[900..], event).await?;
    lab.until_decided(event, 1_000).await?;
    let stalled = lab.system.queue.lane_state(event).await?.stalled;
    assert_eq!(stalled, lane.stalled + 1, "one lease has run out");
    let is_refused = || {
        // By Redis, when it would settle, or by PostgreSQL, when it would decide.
        let told = ["the lease on this lane was lost", "lease was behind PostgreSQL's fence"];
        let logged = std::fs::read_to_string(&logs).unwrap_or_default();
        told.iter().any(|refusal| logged.contains(refusal))
    };
    assert!(!is_refused(), "it sleeps");
    kill(sleeper.pid(), Signal::SIGCONT)?;
    eventually("it is refused", async || is_refused()).await;
    assert_eq!(decided(&lab, event).await?, 1_000);
    successor.stop().await;
    assert_invariants(lab.store(), event).await
}

#[rstest]
#[tokio::test]
async fn a_giant_lane_keeps_small_ones_waiting_for_one_turn_at_most(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    // A turn is half a second: twelve batches of 20, each of which takes 40 ms at least.
    const TURN: i64 = 400;
    let words = ["--worker-lanes=1", "--worker-max-batch=20"];
    let lab = Lab::start_at(site, &[Part::Gateway, Part::Sweeper], &words).await?;
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let (giant, _, _) = make_event(lab.store(), &EventPlan::hall(50, 20)).await?;
    let mut small = Vec::new();
    for _ in 0..3 {
        small.push(make_event(lab.store(), &EventPlan::hall(1, 4)).await?.0);
    }
    let shoppers = lab.shoppers(1_000).await?;
    queue_up(&shoppers, giant).await?;
    let worker = lab.add(&[Part::Worker]).await?;
    eventually("it is at the giant one", async || decided(&lab, giant).await.is_ok_and(|now| now > 0)).await;
    for event in &small {
        shoppers[0].book(*event, json!({"quantity": 1})).await?;
    }
    for event in &small {
        lab.until_decided(*event, 1).await?;
    }
    lab.until_decided(giant, 1_000).await?;
    // A number tells when its job came. So many of the giant lane were decided while each of the small ones waited, and
    // after it.
    let waited: Vec<(i64, i64)> = sqlx::query_as(
        "select count(*) filter (where g.decided_at between to_timestamp(s.number / 1e6) and s.decided_at),
             count(*) filter (where g.decided_at > s.decided_at)
         from job_outcomes s join job_outcomes g on g.event_id = $1
         where s.event_id = any($2) group by s.event_id",
    )
    .bind(giant.0)
    .bind(small.iter().map(|event| event.0).collect::<Vec<i64>>())
    .fetch_all(lab.store().pool())
    .await?;
    assert_eq!(waited.len(), 3);
    for (meanwhile, afterwards) in &waited {
        assert!(*meanwhile <= TURN && *afterwards > 0, "{waited:?}");
    }
    worker.stop().await;
    assert_invariants(lab.store(), giant).await
}

#[tokio::test]
async fn operators_who_empty_a_lane_beside_its_worker_end_each_job_once() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &["--worker-max-batch=20"]).await?;
    sqlx::raw_sql(SLOW_COMMITS).execute(lab.store().pool()).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(20, 20)).await?;
    let shoppers = lab.shoppers(600).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let jobs = queue_up(&shoppers, event).await?;
    let worker = lab.add(&[Part::Worker]).await?;
    eventually("it is at it", async || decided(&lab, event).await.is_ok_and(|now| now > 0)).await;
    let steer =
        async |name: &str, body: Value| operator.post(&format!("/api/admin/queue/{name}"), body).await;
    let (mut removed, mut rounds) = (0, 0);
    // The worker has the first twenty or forty of them.
    while let Some((number, _)) = lab.system.queue.waiting_after(event, 0, 30, false).await?.last() {
        let (status, answer) = steer("remove", json!({"eventId": event, "number": number})).await?;
        assert!([StatusCode::NO_CONTENT, StatusCode::NOT_FOUND].contains(&status), "{status}: {answer}");
        removed += i64::from(status == StatusCode::NO_CONTENT);
        for name in ["drain", "obliterate", "clean"] {
            let (status, answer) = steer(name, json!({"eventId": event, "limit": 10})).await?;
            assert_eq!(status, StatusCode::OK, "{name}: {answer}");
            if name != "clean" {
                removed += answer["removed"].as_i64().ok_or("how many were removed")?;
            }
        }
        rounds += 1;
    }
    assert!(rounds > 1, "they met in {rounds} rounds only");
    lab.until_decided(event, jobs.len()).await?;
    let ended: (i64, i64) = sqlx::query_as(
        "select count(*) filter (where code = 'removed'), count(*) filter (where status = 'completed')
         from job_outcomes where event_id = $1",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert!(ended.1 > 0, "the worker decided some: {ended:?}");
    assert_eq!(removed, ended.0, "so many were said to be removed, whoever took them out: {ended:?}");
    let mut told = (0, 0);
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        let outcome = shopper.outcome(job).await?;
        told.0 += i64::from(outcome["code"] == "removed");
        told.1 += i64::from(outcome["status"] == "completed");
    }
    assert_eq!(told, ended, "everybody is told what stands");
    worker.stop().await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_removal_that_a_worker_settles_first_is_told_and_written_down() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let (shopper, operator) = (lab.shopper().await?, lab.with_role(Role::Operator).await?);
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    let (queue, mut claimed) = (&lab.system.queue, None);
    eventually("somebody has it", async || {
        if let Ok(Claim::Batch(batch)) = queue.claim(event, "a worker", 1).await {
            claimed = Some(batch);
        }
        claimed.is_some()
    })
    .await;
    let batch = claimed.ok_or("a batch")?;
    let number = batch.jobs[0].number;
    sqlx::raw_sql(
        "create function dawdle() returns trigger language plpgsql as
             $$ begin perform pg_sleep(1); return null; end $$;
         create trigger dawdle after insert on job_outcomes for each row execute function dawdle()",
    )
    .execute(lab.store().pool())
    .await?;
    let removing = operator.post("/api/admin/queue/remove", json!({"eventId": event, "number": number}));
    let settling = async {
        eventually("its outcome is being written", async || {
            let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            lab.count(sleeping).await.is_ok_and(|sleeping| sleeping > 0)
        })
        .await;
        let endings = [(number, Ending::Decided(Outcome::Failed(Refusal::Removed)))].into();
        queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await
    };
    let (removed, settled) = tokio::join!(removing, settling);
    assert_eq!(settled?, Ok(0));
    assert_eq!(removed?.0, StatusCode::NO_CONTENT);
    assert_eq!(shopper.outcome(&job).await?["code"], "removed");
    let written = "select count(*) from audit_log where action = 'queue.remove' and result = 'done'";
    assert_eq!(lab.count(written).await?, 1);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn postgresql_refuses_a_fence_that_is_older_or_somebody_elses() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let store = lab.store();
    let write = async |worker: &str, fence: u64| -> Result<Commit, Box<dyn std::error::Error>> {
        let lease = Lease { event, worker: worker.to_owned(), fence };
        let prepared = store.prepare_batch(event, &[], &[], "0", &HashSet::new()).await?.ok_or("an event")?;
        let batch = BatchWrite {
            lease: &lease,
            prepared: &prepared,
            jobs: &[],
            refused_seats: Vec::new(),
            is_short: false,
            taken_over: Vec::new(),
            known_expired: HashSet::new(),
            limited: Vec::new(),
        };
        Ok(store.commit_batch(&batch).await?)
    };
    assert!(matches!(write("first", 7).await?, Commit::Done(_)));
    assert!(matches!(write("first", 7).await?, Commit::Done(_)), "the same lease goes on");
    assert!(matches!(write("second", 6).await?, Commit::Stale { fence: 7 }), "an older one is refused");
    assert!(matches!(write("second", 7).await?, Commit::Stale { fence: 7 }), "and somebody else's");
    assert!(matches!(write("second", 8).await?, Commit::Done(_)));
    Ok(())
}

#[rstest]
#[tokio::test]
async fn a_job_that_always_fails_ends_alone_and_in_its_place(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[], &["--worker-backoff-ms=20"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(5, 20)).await?;
    let shoppers = lab.shoppers(40).await?;
    // PostgreSQL refuses whatever is written for this one person.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "create function refuse() returns trigger language plpgsql as
             $$ begin if new.user_id = {} then raise exception 'poison'; end if; return new; end $$;
         create trigger refuse before insert on bookings for each row execute function refuse()",
        shoppers[17].id
    )))
    .execute(lab.store().pool())
    .await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for (at, (shopper, job)) in shoppers.iter().zip(&jobs).enumerate() {
        let outcome = shopper.outcome(job).await?;
        let expected = if at == 17 { "failed" } else { "completed" };
        assert_eq!(outcome["status"], expected, "job {at}: {outcome}");
    }
    assert_eq!(shoppers[17].status(&jobs[17]).await?["code"], "internal");
    let (_, details) = operator.get(&format!("/api/admin/queue/details?eventId={event}")).await?;
    assert_eq!(details["lanes"][0]["failed"][0]["attempts"], 2, "failed twice before the last time");
    assert_invariants(lab.store(), event).await
}

#[rstest]
#[tokio::test]
async fn a_job_that_takes_too_long_each_time_ends_alone_and_in_its_place(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    // What PostgreSQL is still at keeps the next batch waiting for no longer than a lock may.
    let words = [
        "--worker-backoff-ms=20",
        "--worker-batch-limit-ms=1000",
        "--worker-max-batch=10",
        "--database-lock-timeout-ms=300",
    ];
    let lab = Lab::start_at(site, &[], &words).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(5, 20)).await?;
    let shoppers = lab.shoppers(10).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let jobs = queue_up(&shoppers, event).await?;
    let numbers = lab.system.queue.waiting_after(event, 0, 100, false).await?;
    let slow = numbers.get(3).and_then(|(_, envelope)| envelope.as_ref()).ok_or("a fourth one")?.owner;
    // A sequence counts on although the transaction is undone.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "create sequence delays;
         create function delay() returns trigger language plpgsql as
             $$ begin
                 if new.user_id = {slow} then perform nextval('delays'), pg_sleep(1.5); end if;
                 return new;
             end $$;
         create trigger delay before insert on bookings for each row execute function delay()"
    )))
    .execute(lab.store().pool())
    .await?;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    lab.until_decided(event, jobs.len()).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        let outcome = shopper.outcome(job).await?;
        let expected = if shopper.id == slow { "failed" } else { "completed" };
        assert_eq!(outcome["status"], expected, "{}: {outcome}", shopper.id);
        if shopper.id == slow {
            assert_eq!(outcome["code"], "internal", "it is clear what became of it");
        }
    }
    assert_eq!(decided(&lab, event).await?, 10, "nobody twice");
    let (_, details) = operator.get(&format!("/api/admin/queue/details?eventId={event}")).await?;
    assert_eq!(details["lanes"][0]["failed"][0]["attempts"], 3, "{details}");
    let delays = lab.count("select last_value from delays").await?;
    assert!(delays >= 4, "with others at first, and then three times alone: {delays}");
    let late = lab.shopper().await?;
    let job = late.book(event, json!({"quantity": 1})).await?;
    assert_eq!(late.outcome(&job).await?["status"], "completed", "the lane goes on");
    assert_invariants(lab.store(), event).await
}

#[rstest]
#[tokio::test]
async fn a_stopping_worker_gives_its_lane_back_at_once(
    #[values(Site::Single, Site::Cluster)] site: Site,
) -> TestResult {
    let lab = Lab::start_at(site, &[Part::Gateway, Part::Sweeper], &["--worker-max-batch=10"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(10, 50)).await?;
    let shoppers = lab.shoppers(300).await?;
    let first = lab.add(&[Part::Worker]).await?;
    let queueing = queue_up(&shoppers, event);
    let stopping = async {
        eventually("some are decided", async || decided(&lab, event).await.is_ok_and(|now| now > 50)).await;
        let started = Instant::now();
        first.stop().await;
        assert!(started.elapsed() < Duration::from_secs(5), "stopping took {:?}", started.elapsed());
        let lane = lab.system.queue.lane_state(event).await?;
        assert!(lane.lease.is_none(), "no lease is left behind: {lane:?}");
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    tokio::try_join!(queueing, stopping)?;
    let second = lab.add(&[Part::Worker]).await?;
    lab.until_decided(event, 300).await?;
    second.stop().await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn two_sweepers_are_as_one() -> TestResult {
    let lab = Lab::start().await?;
    let others = [lab.add(&[Part::Sweeper]).await?, lab.add(&[Part::Sweeper]).await?];
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(10, 20) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let shoppers = lab.shoppers(200).await?;
    let jobs = queue_up(&shoppers, event).await?;
    lab.until_decided(event, jobs.len()).await?;
    eventually("everything is free again", async || {
        sqlx::query_scalar::<_, i64>("select count(*) from seat_claims where event_id = $1")
            .bind(event.0)
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|held| held == 0)
    })
    .await;
    let expired: i64 = sqlx::query_scalar(
        "select count(*) from outbox, json_array_elements(facts) where event_id = $1 and topic = 'reservation.expired'",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(expired, 200, "each expiry is told once");
    for other in others {
        other.stop().await;
    }
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_was_claimed_and_not_taken_at_the_end_of_a_worker_is_given_back() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    lab.shopper().await?.book(event, json!({"quantity": 1})).await?;
    let (store, queue, stop) = (lab.store().clone(), lab.system.queue.clone(), CancellationToken::new());
    let scheduler = Scheduler::start(store, queue.clone(), "w".to_owned(), lab.settings(&[])?.worker, &stop);
    let (mut source, context) = (LaneSource::<ClaimedJob>::new(scheduler.clone()), WorkerContext::new("w"));
    scheduler.push(event);
    let claiming = poll_fn(|cx| Poll::Ready(source.poll_next(cx, &context).is_pending())).await;
    assert!(claiming, "a claim takes its time");
    eventually("it is claimed", async || queue.lane_state(event).await.is_ok_and(|lane| lane.active == 1))
        .await;
    stop.cancel();
    poll_fn(|cx| source.poll_close(cx, &context)).await?;
    let lane = queue.lane_state(event).await?;
    assert!(lane.lease.is_none(), "{lane:?}");
    assert_eq!((lane.active, lane.waiting), (0, 1));
    Ok(())
}
