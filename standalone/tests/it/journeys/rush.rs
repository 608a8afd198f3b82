//! Many at once.

use serde_json::json;
use shared::auth::Role;
use shared::domain::{AreaId, EventId};
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

/// So many shoppers ask at once, each for a place of the best.
async fn each_books_one(lab: &Lab, event: EventId, shoppers: usize) -> TestResult {
    let booked = lab.shoppers(shoppers).await?.into_iter().map(|shopper| async move {
        shopper.book(event, json!({"quantity": 1})).await.map_err(|error| error.to_string())
    });
    for job in futures_util::future::join_all(booked).await {
        job?;
    }
    Ok(())
}

#[tokio::test]
async fn a_thousand_buyers_get_a_hundred_seats_in_the_order_of_their_arrival() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(10, 10)).await?;
    each_books_one(&lab, event, 1_000).await?;
    lab.until_decided(event, 1_000).await?;
    let (won, last_winner, first_loser): (i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where status = 'completed'),
             max(number) filter (where status = 'completed'), min(number) filter (where status = 'failed')
         from job_outcomes where event_id = $1",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(won, 100);
    assert!(last_winner < first_loser, "the first hundred numbers win");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_is_won_in_a_rush_is_shown_in_redis_when_it_is_over() -> TestResult {
    let lab = Lab::start().await?;
    let plan = EventPlan { standing: 50, ..EventPlan::hall(10, 20) };
    let (event, seats, area) = make_event(lab.store(), &plan).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    each_books_one(&lab, event, 250).await?;
    // All in one batch.
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    lab.until_decided(event, 250).await?;
    let keys = lab.system.queue.keys();
    let seats = seats.iter().map(|seat| keys.seat_reserved(event, *seat));
    let slots = (1..=50).map(|slot| keys.slot_reserved(event, AreaId(area), slot));
    let mut asked = redis::cmd("MGET");
    for key in seats.chain(slots) {
        asked.arg(key);
    }
    let mut redis = lab.system.queue.connection();
    eventually("every place is shown with its owner", async || {
        let shown: Result<Vec<Option<i64>>, _> = asked.query_async(&mut redis).await;
        shown.is_ok_and(|owners| owners.len() == 250 && owners.iter().all(Option::is_some))
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn last_seat_goes_to_one_of_two_buyers() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let [one, other]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let (first, second) = tokio::join!(one.book_seats(event, &seats), other.book_seats(event, &seats));
    let mut won = 0;
    for (shopper, job) in [(one, first), (other, second)] {
        // Whoever comes second may be refused at the door or in the line.
        let Ok(job) = job else { continue };
        let outcome = shopper.outcome(&job).await?;
        match outcome["status"].as_str() {
            Some("completed") => won += 1,
            _ => assert_eq!(outcome["code"], "seat_taken"),
        }
    }
    assert_eq!(won, 1);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_crowd_that_wants_the_same_seats_by_name_shares_them_out_once() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(5, 10)).await?;
    let shoppers = lab.shoppers(300).await?;
    let jobs = shoppers.iter().enumerate().map(|(at, shopper)| {
        let wanted = [seats[at % 50], seats[(at * 7 + 1) % 50]];
        let body = json!({"seatIds": wanted, "fallback": if at % 3 == 0 { "any" } else { "none" }});
        async move {
            if wanted[0] == wanted[1] {
                return None;
            }
            shopper.book(event, body).await.ok()
        }
    });
    let jobs: Vec<String> = futures_util::future::join_all(jobs).await.into_iter().flatten().collect();
    assert!(jobs.len() >= 50, "{} jobs", jobs.len());
    lab.until_decided(event, jobs.len()).await?;
    let held: i64 = sqlx::query_scalar("select count(*) from seat_claims where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(held, 50, "fallback to any fills the house");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn an_area_is_never_filled_beyond_its_capacity() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, area) = make_event(lab.store(), &EventPlan::club(25)).await?;
    let shoppers = lab.shoppers(40).await?;
    let jobs = shoppers.iter().map(|shopper| async move {
        let body = json!({"quantity": 2, "areaId": area});
        shopper.book(event, body).await.map_err(|error| error.to_string())
    });
    for job in futures_util::future::join_all(jobs).await {
        job?;
    }
    lab.until_decided(event, 40).await?;
    let held: i64 = sqlx::query_scalar("select count(*) from area_claims where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(held, 24, "twelve pairs fit, a thirteenth does not");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn overlapping_groups_are_refused_as_taken_and_hold_nobody_up() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let operator = lab.with_role(shared::auth::Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shoppers = lab.shoppers(4).await?;
    let wanted = [&seats[1..2], &seats[1..3], &seats[1..2], &seats[2..4]];
    let mut jobs = Vec::new();
    for (shopper, seats) in shoppers.iter().zip(wanted) {
        jobs.push(shopper.book_seats(event, seats).await?);
    }
    operator.post("/api/admin/queue/resume", json!({})).await?;
    let started = std::time::Instant::now();
    for (at, expected) in [None, Some("seat_taken"), Some("seat_taken"), None].into_iter().enumerate() {
        let outcome = shoppers[at].outcome(&jobs[at]).await?;
        assert_eq!(outcome["code"].as_str(), expected, "job {at}: {outcome}");
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    assert_invariants(lab.store(), event).await
}

/// Autovacuum analyzes in the middle of a rush, and its sample is that of the column that wants the largest one.
#[tokio::test]
async fn tables_of_a_rush_are_analyzed_by_small_samples() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let large: Vec<String> = sqlx::query_scalar(
        "with hot as (
             select oid from pg_class
             where relname in ('bookings', 'seat_claims', 'area_claims', 'job_outcomes', 'outbox', 'claim_frees')
         )
         select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
         where a.attnum > 0 and not a.attisdropped and coalesce(a.attstattarget, -1) <> 10 and (
             a.attrelid in (select oid from hot)
             or exists (
                 select from pg_index i
                 where i.indexrelid = a.attrelid and i.indrelid in (select oid from hot) and i.indkey[a.attnum - 1] = 0
             )
         )",
    )
    .fetch_all(lab.store().pool())
    .await?;
    assert!(large.is_empty(), "{large:?}");
    Ok(())
}
