//! What was won: looked at, given back, run out.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::EventId;

use crate::lab::{
    EventPlan, Lab, PATIENCE, Shopper, Socket, TestResult, assert_invariants, eventually, make_event,
};

/// Notes until when the seats were held that come free.
const WITNESS: &str = "
    create table held_until (seat_id bigint, expires_at timestamptz);
    create function note_held() returns trigger language plpgsql as
        $$ begin insert into held_until values (old.seat_id, old.expires_at); return null; end $$;
    create trigger note_held after delete on seat_claims for each row execute function note_held()";

/// So many seats came free, each not before its time and within the second that is promised: from when it ran out until its
/// release was noted, both by PostgreSQL's clock.
async fn assert_free_in_time(lab: &Lab, event: EventId, seats: i64) -> TestResult {
    const PROMISED_S: f64 = 1.0;
    // For a machine that has other things to do.
    const BUSY_S: f64 = 0.25;
    let (freed, earliest, latest): (i64, f64, f64) = sqlx::query_as(
        "select count(*), coalesce(min(late), -1)::float8, coalesce(max(late), -1)::float8
         from (select extract(epoch from f.freed_at - h.expires_at) as late
               from claim_frees f cross join unnest(f.seat_ids) as freed (seat_id) join held_until h using (seat_id)
               where f.event_id = $1) as frees",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(freed, seats, "each came free once");
    assert!(
        earliest >= 0.0 && latest <= PROMISED_S + BUSY_S,
        "from {earliest} to {latest} s after their time"
    );
    Ok(())
}

#[tokio::test]
async fn selecting_waits_for_the_outcome_and_releasing_is_at_once() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let (status, opened) = first.post("/api/bookings", json!({"event_id": event})).await?;
    assert_eq!((status, &opened["status"]), (StatusCode::CREATED, &json!("created")));
    assert_eq!(
        first.post("/api/bookings", json!({"eventId": event})).await?.0,
        StatusCode::OK,
        "there is one only"
    );
    let selection = json!({"booking_id": opened["id"], "seat_id": seats[1]});
    let (status, booking) = first.call(Method::PATCH, "/api/seats/select", Some(selection.clone())).await?;
    assert_eq!((status, &booking["id"]), (StatusCode::OK, &opened["id"]));
    assert_eq!(booking["seats"][0]["seatId"], json!(seats[1]));
    assert_eq!(booking["total"], json!({"amount": 1000, "currency": "EUR"}));
    let (status, taken) =
        second.call(Method::PATCH, "/api/seats/select", Some(json!({"seatId": seats[1]}))).await?;
    assert_eq!((status, &taken["code"]), (StatusCode::CONFLICT, &json!("seat_taken")));
    let (status, foreign) = second.call(Method::PATCH, "/api/seats/select", Some(selection.clone())).await?;
    assert_eq!((status, &foreign["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "not their booking");
    let (status, _) =
        second.call(Method::PATCH, "/api/seats/release", Some(json!({"seatId": seats[1]}))).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "nobody releases another one's seat");
    let (status, after) = first.call(Method::PATCH, "/api/seats/release", Some(selection)).await?;
    assert_eq!((status, after["seats"].as_array().map(Vec::len)), (StatusCode::OK, Some(0)));
    eventually("the seat can be had again", async || {
        let selection = json!({"seatId": seats[1]});
        let answer = second.call(Method::PATCH, "/api/seats/select", Some(selection)).await;
        answer.is_ok_and(|(status, _)| status == StatusCode::OK)
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn touching_the_cart_moves_no_timer() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    let shopper = lab.shopper().await?;
    shopper.outcome(&shopper.book_seats(event, &seats[..2]).await?).await?;
    let expiry = async || -> Result<Value, reqwest::Error> {
        Ok(shopper.get("/api/cart").await?.1["items"][0]["seats"][0]["expiresAt"].clone())
    };
    let before = expiry().await?;
    assert!(before.is_string());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    shopper.outcome(&shopper.book_seats(event, &seats[3..4]).await?).await?;
    shopper.call(Method::DELETE, &format!("/api/cart/seats/{}", seats[3]), None).await?;
    shopper.post("/api/bookings", json!({"eventId": event})).await?;
    assert_eq!(expiry().await?, before);
    let (_, cart) = shopper.get("/api/cart").await?;
    let left = cart["items"][0]["seats"][0]["remainingSeconds"].as_i64().ok_or("seconds")?;
    assert!((890..=898).contains(&left), "{left}");
    Ok(())
}

#[tokio::test]
async fn a_reservation_that_runs_out_is_free_for_the_next_within_a_second() -> TestResult {
    // What is promised ends with the release; the shopper hears of it over a gateway.
    const TOLD: TimeDelta = TimeDelta::milliseconds(1_500);
    let lab = Lab::start().await?;
    sqlx::raw_sql(WITNESS).execute(lab.store().pool()).await?;
    let plan = EventPlan { hold_seconds: 2, ..EventPlan::hall(1, 1) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let mut socket = Socket::open(&first).await?;
    let won = first.outcome(&first.book_seats(event, &seats).await?).await?;
    let booking = won["result"]["bookingId"].clone();
    let until: DateTime<Utc> = won["result"]["expiresAt"].as_str().ok_or("until when")?.parse()?;
    let expired = socket.until("expired").await?;
    // PostgreSQL and whoever is told have the same clock here.
    let late = Utc::now() - until;
    assert_eq!((&expired["bookingId"], &expired["seatIds"]), (&booking, &json!(seats)));
    assert!((TimeDelta::zero()..=TOLD).contains(&late), "told {late} late");
    assert_free_in_time(&lab, event, 1).await?;
    eventually("the seat is free again", async || {
        let seats = first.get(&format!("/api/seats?event_id={event}")).await;
        seats.is_ok_and(|(_, seats)| seats["items"][0]["status"] == "available")
    })
    .await;
    assert_eq!(first.get("/api/cart").await?.1["items"], json!([]));
    let (_, bookings) = first.get("/api/bookings").await?;
    assert_eq!((&bookings["items"][0]["id"], &bookings["items"][0]["status"]), (&booking, &json!("expired")));
    let job = second.book_seats(event, &seats).await?;
    assert_eq!(second.outcome(&job).await?["status"], "completed");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_booking_goes_on_until_the_last_of_it_runs_out() -> TestResult {
    let lab = Lab::start().await?;
    sqlx::raw_sql(WITNESS).execute(lab.store().pool()).await?;
    let plan = EventPlan { hold_seconds: 4, ..EventPlan::hall(1, 3) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    for (seat, wait_ms) in seats.iter().zip([1_000, 1_600, 0]) {
        shopper.outcome(&shopper.book_seats(event, &[*seat]).await?).await?;
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
    let booking = async || -> Result<(Value, usize), reqwest::Error> {
        let (_, bookings) = shopper.get("/api/bookings").await?;
        let held = bookings["items"][0]["seats"].as_array().map_or(0, Vec::len);
        Ok((bookings["items"][0]["status"].clone(), held))
    };
    assert_eq!(booking().await?, (json!("created"), 3));
    let comes_to = async |status: &str, held: usize| {
        eventually("something of it runs out", async || {
            booking().await.is_ok_and(|now| now == (json!(status), held))
        })
        .await;
    };
    comes_to("created", 2).await;
    comes_to("created", 1).await;
    comes_to("expired", 0).await;
    eventually("the last one is released", async || {
        lab.count("select count(*) from claim_frees").await.is_ok_and(|frees| frees == 3)
    })
    .await;
    assert_free_in_time(&lab, event, 3).await?;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn opening_a_booking_gives_back_what_has_run_out_of_the_last_one() -> TestResult {
    use standalone::settings::Part;
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(1, 1) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    shopper.outcome(&shopper.book_seats(event, &seats).await?).await?;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let (status, opened) = shopper.post("/api/bookings", json!({"eventId": event})).await?;
    assert_eq!((status, &opened["status"]), (StatusCode::CREATED, &json!("created")));
    let left: i64 = sqlx::query_scalar("select count(*) from seat_claims where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(left, 0);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_has_run_out_is_taken_over_even_when_no_sweeper_runs() -> TestResult {
    use standalone::settings::Part;
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(1, 2) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    first.outcome(&first.book(event, json!({"quantity": 2})).await?).await?;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let job = second.book(event, json!({"quantity": 2})).await?;
    assert_eq!(second.outcome(&job).await?["status"], "completed");
    let expired: String =
        sqlx::query_scalar("select status from bookings where event_id = $1 and user_id = $2")
            .bind(event.0)
            .bind(first.id.0)
            .fetch_one(lab.store().pool())
            .await?;
    assert_eq!(expired, "expired");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_comes_free_beside_what_is_taken_over_is_shown_and_offered_to_who_stands_by() -> TestResult {
    use standalone::settings::Part;
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let (event, _, area) =
        make_event(lab.store(), &EventPlan { hold_seconds: 5, ..EventPlan::club(4) }).await?;
    let [first, second, third]: [_; 3] = lab.shoppers(3).await?.try_into().map_err(|_| "three shoppers")?;
    let of_area = |quantity: u32| json!({"quantity": quantity, "areaId": area});
    first.outcome(&first.book(event, of_area(4)).await?).await?;
    let aside = second.book(event, json!({"quantity": 2, "areaId": area, "standby": true})).await?;
    eventually("it stands by", async || {
        second.status(&aside).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
    let path = format!("/api/events/{event}");
    let free = async || third.get(&path).await.map(|(_, event)| event["availableSeats"].clone());
    assert_eq!(free().await?, 0);
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    assert_eq!(third.outcome(&third.book(event, of_area(1)).await?).await?["status"], "completed");
    assert_eq!(
        second.outcome(&aside).await?["status"],
        "completed",
        "nobody sweeps, and nothing else came free"
    );
    assert_eq!(free().await?, 1);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_worker_that_starts_anew_takes_over_a_hall_full_of_what_has_run_out() -> TestResult {
    use standalone::settings::Part;
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(10, 20) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let shoppers = lab.shoppers(100).await?;
    for shopper in &shoppers {
        shopper.book(event, json!({"quantity": 2})).await?;
    }
    let before = lab.add(&[Part::Worker]).await?;
    lab.until_decided(event, 100).await?;
    before.stop().await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let _anew = lab.add(&[Part::Worker]).await?;
    let late = lab.shopper().await?;
    let outcome = late.outcome(&late.book(event, json!({"quantity": 2})).await?).await?;
    assert_eq!(outcome["status"], "completed", "{outcome}");
    assert_invariants(lab.store(), event).await
}

/// Cancels as soon as the seat is in the cart: before the job is settled, and while the next one is proposed.
async fn cancel_at_once(shopper: &Shopper) -> TestResult {
    let deadline = Instant::now() + PATIENCE;
    // Asked again without a rest: it is a matter of milliseconds.
    let booking = loop {
        let (_, cart) = shopper.get("/api/cart").await?;
        if cart["items"][0]["id"].is_string() {
            break cart["items"][0]["id"].clone();
        }
        assert!(Instant::now() < deadline, "the seat is not in the cart: {cart}");
    };
    let cancel = json!({"bookingId": booking});
    let (status, _) = shopper.call(Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?;
    assert_eq!(status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn what_is_given_back_at_once_is_there_for_the_next() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    for three in lab.shoppers(60).await?.chunks(3) {
        let [first, second, third] = three else { return Err("three at a time".into()) };
        let one = json!({"quantity": 1});
        let _first = first.book(event, one.clone()).await?;
        let (cancelled, job) = tokio::join!(cancel_at_once(first), second.book(event, one.clone()));
        cancelled?;
        // Refused when it was decided before that, and then the seat is there all the same.
        if second.outcome(&job?).await?["status"] == "completed" {
            cancel_at_once(second).await?;
        }
        let job = third.book(event, one).await?;
        let outcome = third.outcome(&job).await?;
        assert_eq!(outcome["status"], "completed", "nobody has the only seat: {outcome}");
        cancel_at_once(third).await?;
    }
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn cancelling_returns_every_seat_and_an_empty_booking_lapses() -> TestResult {
    let lab = Lab::start().await?;
    let plan = EventPlan { hold_seconds: 2, ..EventPlan::hall(1, 4) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let won = first.outcome(&first.book_seats(event, &seats).await?).await?;
    let cancellation = json!({"booking_id": won["result"]["bookingId"]});
    let (status, _) = second.call(Method::PATCH, "/api/bookings/cancel", Some(cancellation.clone())).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "nobody cancels another one's booking");
    for _ in 0..2 {
        let (status, cancelled) =
            first.call(Method::PATCH, "/api/bookings/cancel", Some(cancellation.clone())).await?;
        assert_eq!((status, &cancelled["status"]), (StatusCode::OK, &json!("cancelled")));
    }
    let job = second.book_seats(event, &seats).await?;
    assert_eq!(second.outcome(&job).await?["status"], "completed");
    first.post("/api/bookings", json!({"eventId": event})).await?;
    eventually("the empty booking lapses", async || {
        let answer = first.get("/api/bookings").await;
        answer.is_ok_and(|(_, bookings)| bookings["items"][0]["status"] == "expired")
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn no_booking_is_opened_when_the_sale_is_over_and_an_open_one_is_still_found() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let [early, late] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let open = async |shopper: &Shopper| shopper.post("/api/bookings", json!({"eventId": event})).await;
    let (status, opened) = open(&early).await?;
    assert_eq!(status, StatusCode::CREATED, "{opened}");
    sqlx::query("update events set sales_close_at = now() - interval '1 minute'")
        .execute(lab.store().pool())
        .await?;
    // Events are known from memory for some seconds.
    eventually("the sale is over", async || {
        let (_, shown) = late.get(&format!("/api/events/{event}")).await.unwrap_or_default();
        shown["status"] == "closed"
    })
    .await;
    let (status, refused) = open(&late).await?;
    assert_eq!((status.as_u16(), &refused["code"]), (422, &json!("sale_closed")), "{refused}");
    let (status, found) = open(&early).await?;
    assert_eq!((status, &found["id"]), (StatusCode::OK, &opened["id"]), "{found}");
    Ok(())
}

#[tokio::test]
async fn without_a_sweeper_ones_own_expired_seats_can_be_had_again_and_too_much_is_still_refused()
-> TestResult {
    use standalone::settings::Part;
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let plan = EventPlan { hold_seconds: 1, ..EventPlan::hall(1, 2) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    first.outcome(&first.book(event, json!({"quantity": 2})).await?).await?;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let refused = second.outcome(&second.book(event, json!({"quantity": 3})).await?).await?;
    assert_eq!(refused["code"], "sold_out", "three of two seats, expired or not");
    let again = first.outcome(&first.book(event, json!({"quantity": 2})).await?).await?;
    assert_eq!(again["status"], "completed", "{again}");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn carts_of_several_seats_run_out_together() -> TestResult {
    let lab = Lab::start().await?;
    sqlx::raw_sql(WITNESS).execute(lab.store().pool()).await?;
    let plan = EventPlan { hold_seconds: 3, ..EventPlan::hall(100, 30) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let shoppers = lab.shoppers(300).await?;
    let jobs = shoppers.iter().map(|shopper| async move {
        shopper.book(event, json!({"quantity": 10})).await.map_err(|error| error.to_string())
    });
    for job in futures_util::future::join_all(jobs).await {
        job?;
    }
    lab.until_decided(event, 300).await?;
    eventually("all three thousand seats are free", async || {
        let held = sqlx::query_scalar::<_, i64>("select count(*) from seat_claims where event_id = $1");
        held.bind(event.0).fetch_one(lab.store().pool()).await.is_ok_and(|held| held == 0)
    })
    .await;
    assert_free_in_time(&lab, event, 3_000).await?;
    assert_invariants(lab.store(), event).await
}
