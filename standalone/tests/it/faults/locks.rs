//! Seats that somebody else has locked, and a sweeper that is told to stop.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;

use super::decided;
use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

#[tokio::test]
async fn a_foreign_lock_delays_its_job_in_its_place_and_takes_no_seat_away() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    let queue = &lab.system.queue;
    let mut redis = queue.connection();
    let (lock, foreign) = (queue.keys().seat_lock(event, seats[2]), format!("{}:1", event.0 + 99));
    let set = redis::cmd("SET").arg(&lock).arg(&foreign).arg("PX").arg(60_000).to_owned();
    let () = set.query_async(&mut redis).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shoppers = lab.shoppers(5).await?;
    let mut jobs = Vec::new();
    for (shopper, seat) in shoppers.iter().zip(&seats) {
        jobs.push(shopper.book_seats(event, &[*seat]).await?);
    }
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for (shopper, job) in shoppers[..2].iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed", "nothing is in their way");
    }

    let mut fence = async || -> redis::RedisResult<u64> {
        redis::cmd("HGET").arg(queue.keys().meta(event)).arg("fence").query_async(&mut redis).await
    };
    let first = fence().await?;
    // More often than a job may fail by itself.
    eventually("the lane is tried time and again", async || fence().await.is_ok_and(|now| now >= first + 5))
        .await;
    eventually("those behind wait in their places", async || {
        for (at, place) in (2..5).zip(1_u64..) {
            if !shoppers[at].status(&jobs[at]).await.is_ok_and(|status| status["place"] == place) {
                return false;
            }
        }
        true
    })
    .await;
    assert_eq!(decided(&lab, event).await?, 2);
    let mut redis = queue.connection();
    let held: Option<String> = redis::cmd("GET").arg(&lock).query_async(&mut redis).await?;
    assert_eq!(held, Some(foreign), "nobody takes it, or gives it back");

    let () = redis::cmd("PEXPIRE").arg(&lock).arg(100).query_async(&mut redis).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        let outcome = shopper.outcome(job).await?;
        assert_eq!(outcome["status"], "completed", "{outcome}");
    }
    let held: Vec<(i64, i64)> =
        sqlx::query_as("select seat_id, user_id from seat_claims where event_id = $1 order by seat_id")
            .bind(event.0)
            .fetch_all(lab.store().pool())
            .await?;
    let wanted: Vec<_> = seats.iter().zip(&shoppers).map(|(seat, shopper)| (seat.0, shopper.id.0)).collect();
    assert_eq!(held, wanted, "each has the seat that was asked for");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_booking_that_somebody_is_closing_is_opened_anew_afterwards() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    let shopper = lab.shopper().await?;
    let open = async || shopper.post("/api/bookings", json!({"eventId": event})).await;
    let (status, first) = open().await?;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    sqlx::query("update bookings set expires_at = now() - interval '1 second'")
        .execute(lab.store().pool())
        .await?;
    let mut closing = lab.store().pool().begin().await?;
    sqlx::query("select 1 from bookings for update").execute(&mut *closing).await?;
    let (status, refused) = open().await?;
    assert_eq!((status.as_u16(), &refused["code"]), (503, &json!("store_unavailable")), "{refused}");
    closing.rollback().await?;
    let (status, second) = open().await?;
    assert_eq!(status, StatusCode::CREATED, "{second}");
    assert_ne!(first["id"], second["id"]);
    Ok(())
}

#[tokio::test]
async fn a_sweeper_stops_at_once_though_much_has_run_out() -> TestResult {
    const SLOW_ENDS: &str = "
        create function dawdle() returns trigger language plpgsql as
            $$ begin perform pg_sleep(0.005); return new; end $$;
        create trigger dawdle before update on bookings for each row execute function dawdle()";
    const OPEN: &str = "select count(*) from bookings where status = 'created'";
    const DAWDLING: &str = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    sqlx::query(
        "insert into bookings (id, event_id, user_id, expires_at)
         select gen_random_uuid(), $1, n, now() - interval '1 second' from generate_series(1, 4000) n",
    )
    .bind(event.0)
    .execute(lab.store().pool())
    .await?;
    sqlx::raw_sql(SLOW_ENDS).execute(lab.store().pool()).await?;
    let sweeper = lab.start_part(Part::Sweeper).await?;
    eventually("bookings are being closed", async || lab.count(DAWDLING).await.is_ok_and(|all| all > 0))
        .await;
    let stopping = Instant::now();
    sweeper.stop().await;
    let took = stopping.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}; a pass takes one second, all of them ten");
    assert!(lab.count(OPEN).await? > 0, "they were not all closed before");
    sqlx::raw_sql("drop trigger dawdle on bookings").execute(lab.store().pool()).await?;
    let _sweeper = lab.start_part(Part::Sweeper).await?;
    eventually("all are closed", async || lab.count(OPEN).await.is_ok_and(|open| open == 0)).await;
    Ok(())
}
