//! One's place in a line: kept, told, left.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::auth::Role;
use shared::domain::{BookingId, Envelope, EventId, Outcome, Refusal, Reservation, SeatId};
use shared::queue::Partition;
use shared::queue::claim::Claim;
use shared::queue::settle::{Decided, Ending};
use shared::shop::Sweeps;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, Socket, TestResult, assert_invariants, eventually, make_event};

#[tokio::test]
async fn status_goes_from_queued_over_place_to_completed() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let pause = json!({"eventId": event, "message": "Doors open in a minute"});
    assert_eq!(operator.post("/api/admin/queue/pause", pause).await?.0, StatusCode::OK);
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let job = first.book(event, json!({"quantity": 1})).await?;
    let (status, answer) =
        second.post(&format!("/api/bookings/{event}/book"), json!({"quantity": 2})).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(answer["queuePosition"], 2);
    assert_eq!(answer["jobId"], answer["queueId"]);
    assert!(answer["estimatedWaitTime"].as_str().is_some_and(|text| text.contains("second")), "{answer}");
    assert!(answer["waitRange"]["min"].is_u64() && answer["waitRange"]["max"].is_u64());
    let path = answer["statusEndpoint"].as_str().ok_or("an endpoint")?;
    eventually("the place is known", async || {
        second.get(path).await.is_ok_and(|(_, status)| status["place"] == 2)
    })
    .await;
    let (_, waiting) = second.get(path).await?;
    assert_eq!((&waiting["status"], &waiting["paused"]), (&json!("queued"), &json!(true)));
    assert_eq!(waiting["message"], "Doors open in a minute");
    assert_eq!((&waiting["userId"], &waiting["eventId"]), (&json!(second.id), &json!(event)));
    // Whoever has the reference may see the place, but not whose it is, nor what was won.
    assert_eq!(first.get(path).await?.1["userId"], serde_json::Value::Null);
    assert_eq!(operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?.0, StatusCode::OK);
    let outcome = second.outcome(answer["jobId"].as_str().unwrap_or_default()).await?;
    assert_eq!(outcome["result"]["seats"].as_array().map(Vec::len), Some(2));
    assert_eq!(first.outcome(&job).await?["status"], "completed");
    let (_, foreign) = first.get(path).await?;
    assert_eq!((&foreign["status"], &foreign["result"]), (&json!("completed"), &serde_json::Value::Null));
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn the_wait_that_is_told_follows_the_pace_that_was_measured() -> TestResult {
    // Nobody decides but this test: five in one second, and none in any other.
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &["--queue-lease-ms=60000"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let mut last = None;
    for shopper in lab.shoppers(25).await? {
        let job = shopper.book(event, json!({"quantity": 1})).await?;
        last = Some((shopper, job));
    }
    let (shopper, job) = last.ok_or("a shopper")?;
    let told = async || {
        let status = shopper.status(&job).await.unwrap_or_default();
        (status["place"].as_u64(), status["waitRange"].clone())
    };
    eventually("a guess is told, of 200 a second", async || {
        told().await == (Some(25), json!({"min": 1, "max": 1}))
    })
    .await;
    let mut claimed = None;
    eventually("the head of the line is claimed", async || {
        if let Ok(Claim::Batch(batch)) = lab.system.queue.claim(event, "w", 5).await {
            claimed = Some(batch);
        }
        claimed.is_some()
    })
    .await;
    let batch = claimed.ok_or("a batch")?;
    assert_eq!(batch.jobs.len(), 5);
    let ending = || Ending::Decided(Outcome::Failed(Refusal::SoldOut));
    let endings = batch.jobs.iter().map(|job| (job.number, ending())).collect();
    assert_eq!(
        lab.system.queue.settle(&batch, &Decided { endings, ..Decided::default() }, true).await?,
        Ok(20)
    );
    eventually("twenty at five a second take four", async || {
        told().await == (Some(20), json!({"min": 4, "max": 4}))
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn the_same_request_keeps_its_place_and_another_gets_its_own() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    assert_eq!(shopper.book(event, json!({"quantity": 1})).await?, job, "a refresh gives the same job");
    assert_ne!(shopper.book(event, json!({"quantity": 2})).await?, job);
    let keyed = async |key: &str, quantity: u32| {
        let path = format!("{}/api/bookings/{event}/book", shopper.url);
        let request = lab.http.post(path).bearer_auth(&shopper.token).header("Idempotency-Key", key);
        let answer = request.json(&json!({"quantity": quantity})).send().await?;
        let status = answer.status();
        Ok::<_, reqwest::Error>((status, answer.json::<serde_json::Value>().await?))
    };
    let (_, first) = keyed("k1", 1).await?;
    assert_ne!(first["jobId"], json!(job), "a key makes it a request of its own");
    assert_eq!(keyed("k1", 1).await?.1["jobId"], first["jobId"]);
    let (status, mismatch) = keyed("k1", 2).await?;
    assert_eq!(
        (status, &mismatch["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_mismatch"))
    );
    operator.post("/api/admin/queue/resume", json!({})).await?;
    shopper.outcome(first["jobId"].as_str().unwrap_or_default()).await?;
    let (_, again) = keyed("k1", 1).await?;
    assert_eq!(again["jobId"], first["jobId"], "the key holds after the job has ended");
    sqlx::query("update events set sales_close_at = sales_open_at + interval '1 second' where id = $1")
        .bind(event.0)
        .execute(lab.store().pool())
        .await?;
    eventually("the sale is over", async || {
        let shown = shopper.get(&format!("/api/events/{event}")).await;
        shown.is_ok_and(|(_, shown)| shown["status"] == "closed")
    })
    .await;
    assert_eq!(keyed("k2", 1).await?.1["code"], "sale_closed");
    assert_eq!(keyed("k1", 1).await?.1["jobId"], first["jobId"], "and when it would be refused by now");
    assert_eq!(keyed("k1", 2).await?.1["code"], "idempotency_mismatch");
    Ok(())
}

#[tokio::test]
async fn leaving_is_for_the_owner_and_moves_the_others_up() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let job = first.book(event, json!({"quantity": 1})).await?;
    let behind = second.book(event, json!({"quantity": 1})).await?;
    let leave = format!("/api/bookings/queue/{job}");
    let (status, refused) = second.call(Method::DELETE, &leave, None).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("not_owner")));
    let (status, left) = first.call(Method::DELETE, &leave, None).await?;
    assert_eq!((status, &left["status"], &left["code"]), (StatusCode::OK, &json!("failed"), &json!("left")));
    eventually("the second moves up", async || {
        second.status(&behind).await.is_ok_and(|status| status["place"] == 1)
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    assert_eq!(second.outcome(&behind).await?["status"], "completed");
    assert_eq!(first.status(&job).await?["code"], "left");
    assert_invariants(lab.store(), event).await
}

/// As a worker leaves it that was killed between its commit and word to Redis: the first in line has won this seat.
async fn win(lab: &Lab, event: EventId, seat: SeatId) -> Result<Won, Box<dyn std::error::Error>> {
    let page = lab.system.queue.waiting_after(event, 0, 1, false).await?;
    let Some((number, Some(envelope))) = page.into_iter().next() else { return Err("somebody waits".into()) };
    let booking: BookingId = sqlx::query_scalar(
        "with opened as (
             insert into bookings (id, event_id, user_id, expires_at)
             values (gen_random_uuid(), $1, $2, clock_timestamp() + interval '900 s') returning *
         ), claimed as (
             insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
             select $3, event_id, id, user_id, 'reserved', expires_at from opened
         )
         select id from opened",
    )
    .bind(event.0)
    .bind(envelope.owner.0)
    .bind(seat.0)
    .fetch_one(lab.store().pool())
    .await
    .map(BookingId)?;
    let expires_at_ms = chrono::Utc::now().timestamp_millis() + 900_000;
    let won = Reservation { booking, seats: vec![seat], slots: Vec::new(), expires_at_ms };
    sqlx::query(
        "insert into job_outcomes (event_id, number, nonce, user_id, status, result)
         values ($1, $2, $3, $4, 'completed', $5)",
    )
    .bind(event.0)
    .bind(number.cast_signed())
    .bind(envelope.nonce.cast_signed())
    .bind(envelope.owner.0)
    .bind(serde_json::to_value(&won)?)
    .execute(lab.store().pool())
    .await?;
    Ok((number, envelope, Outcome::Completed(won)))
}

#[tokio::test]
async fn who_asks_again_for_a_seat_that_they_have_won_meanwhile_hears_of_their_job() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let ask = async |shopper: &Shopper, key: &str| {
        let request = lab.http.post(format!("{}/api/bookings/{event}/book", shopper.url));
        let request = request.bearer_auth(&shopper.token).header("Idempotency-Key", key);
        let answer = request.json(&json!({"seatIds": [seats[0]]})).send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.json::<serde_json::Value>().await?))
    };
    let (_, asked) = ask(&first, "k").await?;
    let job = asked["jobId"].as_str().ok_or("a job")?;
    assert_eq!(first.outcome(job).await?["status"], "completed");
    eventually("the seat is known to be gone", async || {
        ask(&second, "k").await.is_ok_and(|(_, refused)| refused["code"] == "seat_taken")
    })
    .await;
    let (status, again) = ask(&first, "k").await?;
    assert_eq!((status, &again["jobId"]), (StatusCode::ACCEPTED, &asked["jobId"]));
    // Who would wait for it to come back is let in.
    let wanted = json!({"seatIds": [seats[0]], "standby": true});
    let standing = second.book(event, wanted).await?;
    eventually("they stand by", async || {
        second.status(&standing).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
    assert_invariants(lab.store(), event).await
}

/// A job that has won.
type Won = (u64, Envelope, Outcome);

#[tokio::test]
async fn leaving_gives_back_what_was_won_at_that_very_moment_and_reads_as_left_for_good() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let job = first.book(event, json!({"quantity": 1})).await?;
    eventually("the first waits", async || first.status(&job).await.is_ok_and(|status| status["place"] == 1))
        .await;
    let won = win(&lab, event, seats[0]).await?;
    let (status, left) = first.call(Method::DELETE, &format!("/api/bookings/queue/{job}"), None).await?;
    assert_eq!((status, &left["status"], &left["code"]), (StatusCode::OK, &json!("failed"), &json!("left")));
    assert_eq!(lab.count("select count(*) from seat_claims").await?, 0, "the seat is given back");
    // The worker's word comes after all.
    lab.system.queue.leave(event, &[won]).await?;
    let _worker = lab.add(&[Part::Worker]).await?;
    let behind = second.book(event, json!({"quantity": 1})).await?;
    assert_eq!(second.outcome(&behind).await?["status"], "completed", "the seat is the next one's");
    assert_eq!(first.status(&job).await?["code"], "left", "by what this gateway has heard");
    let other = lab.add(&[Part::Gateway]).await?;
    let asked = lab.http.get(format!("{}/api/bookings/status/{job}", other.url)).bearer_auth(&first.token);
    assert_eq!(asked.send().await?.json::<serde_json::Value>().await?["code"], "left", "and by PostgreSQL");
    let (_, cart) = first.get("/api/cart").await?;
    assert_eq!(cart["items"], json!([]));
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn leaving_changes_nothing_of_what_is_being_paid_for() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    eventually("it waits", async || shopper.status(&job).await.is_ok_and(|status| status["place"] == 1))
        .await;
    win(&lab, event, seats[0]).await?;
    sqlx::query("update bookings set status = 'pending_payment'").execute(lab.store().pool()).await?;
    let (_, stands) = shopper.call(Method::DELETE, &format!("/api/bookings/queue/{job}"), None).await?;
    assert_eq!(
        (&stands["status"], &stands["result"]["seats"][0]["seatId"]),
        (&json!("completed"), &json!(seats[0]))
    );
    assert_eq!(lab.count("select count(*) from job_outcomes where status = 'completed'").await?, 1);
    assert_eq!(lab.count("select count(*) from seat_claims").await?, 1);
    Ok(())
}

#[tokio::test]
async fn tier_section_and_side_by_side_are_kept_unless_any_seats_will_do() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(3, 4)).await?;
    // The last row is a balcony of its own, at a price of its own.
    let (tier, section): (i64, i64) = sqlx::query_as(
        "with tier as (
             insert into price_tiers (event_id, name, price_minor, currency)
             values ($1, 'Two', 500, 'EUR') returning id
         ), section as (
             insert into sections (event_id, name, position) values ($1, 'Balcony', 2) returning id
         ), moved as (
             update seats set tier_id = tier.id, section_id = section.id from tier, section where seats.id = any($2)
         )
         select tier.id, section.id from tier, section",
    )
    .bind(event.0)
    .bind(seats[8..].iter().map(|seat| seat.0).collect::<Vec<_>>())
    .fetch_one(lab.store().pool())
    .await?;
    let won = async |wanted: serde_json::Value| {
        let shopper = lab.shopper().await?;
        let job = shopper.book(event, wanted).await?;
        let outcome = shopper.outcome(&job).await?;
        let won = outcome["result"]["seats"].as_array().cloned().unwrap_or_default();
        let won = won.iter().filter_map(|seat| seats.iter().position(|known| json!(known) == seat["seatId"]));
        Ok::<_, Box<dyn std::error::Error>>((won.collect::<Vec<_>>(), outcome["code"].clone()))
    };
    assert_eq!(won(json!({"quantity": 1, "tierId": tier})).await?.0, [8], "of that tier");
    let (by_section, _) = won(json!({"quantity": 1, "sectionId": section})).await?;
    assert!(matches!(by_section[..], [seat] if seat > 8), "in that section: {by_section:?}");
    // Two are left there, and elsewhere no three side by side once one is gone from the middle of each row.
    for seat in [1, 5] {
        let named = json!({"seatIds": [seats[seat]]});
        assert_eq!(won(named).await?.0, [seat]);
    }
    let three = |more: serde_json::Value| {
        let mut wanted = json!({"quantity": 3, "adjacent": true});
        if let (Some(wanted), Some(more)) = (wanted.as_object_mut(), more.as_object()) {
            wanted.extend(more.clone());
        }
        wanted
    };
    assert_eq!(won(three(json!({}))).await?, (vec![], json!("not_enough_adjacent")));
    assert_eq!(won(three(json!({"tierId": tier}))).await?, (vec![], json!("sold_out")));
    assert_eq!(won(three(json!({"fallback": "none"}))).await?, (vec![], json!("not_enough_adjacent")));
    let (pair, _) = won(json!({"quantity": 2, "adjacent": true})).await?;
    assert_eq!(pair, [2, 3], "side by side");
    let (any, code) = won(three(json!({"tierId": tier, "sectionId": section, "fallback": "any"}))).await?;
    assert_eq!((any.len(), code), (3, serde_json::Value::Null), "{any:?}");
    assert!(any.iter().any(|seat| *seat < 8), "from elsewhere, as two are left there: {any:?}");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn outcomes_are_kept_while_a_reference_may_still_ask_for_them() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    let kept_after = async |change: &str| {
        sqlx::query(sqlx::AssertSqlSafe(change.to_owned())).execute(lab.store().pool()).await?;
        let sweeps = Sweeps::new(lab.store().clone(), lab.system.queue.clone());
        sweeps.forget_old(400).await?;
        let outcomes = lab.count("select count(*) from job_outcomes").await?;
        let lanes = lab.system.queue.lanes(Partition::of(event)).await?;
        Ok::<_, Box<dyn std::error::Error>>((outcomes, lanes.len()))
    };
    let long_ago =
        "update events set sales_open_at = now() - interval '9 days', starts_at = now() - interval '5 days'";
    assert_eq!(kept_after(long_ago).await?, (1, 1), "it is sold still");
    let closed =
        "update events set sales_close_at = now() - interval '4 days', ends_at = now() - interval '1 day'";
    assert_eq!(kept_after(closed).await?, (1, 1), "it goes on until yesterday");
    let over = "update events set ends_at = now() - interval '3 days'";
    assert_eq!(kept_after(over).await?, (1, 0), "it was decided just now");
    let decided = "update job_outcomes set decided_at = now() - interval '3 days'";
    assert_eq!(kept_after(decided).await?, (0, 0));
    // Of an event that was taken out of the catalogue, too.
    let gone = "insert into job_outcomes (event_id, number, nonce, user_id, status, code) values (99, 1, 1, 1, 'failed', 'left')";
    assert_eq!(kept_after(gone).await?, (1, 0));
    assert_eq!(kept_after(decided).await?, (0, 0));
    // Nobody else remembers which tickets are owed.
    let owed = "insert into jobs (id, queue, lane, payload, status, finished_at)
        select gen_random_uuid(), queue, 0, '{}', 'failed', now() - interval '60 days'
        from unnest(array['tickets', 'messages']) as old (queue)";
    kept_after(owed).await?;
    assert_eq!(lab.count("select count(*) from jobs where queue = 'tickets'").await?, 1);
    assert_eq!(lab.count("select count(*) from jobs where status = 'failed'").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_seat_that_was_asked_for_too_early_is_found_once_it_is_there() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (_, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let shopper = lab.shopper().await?;
    let path = format!("/tickets/{}/queue", seats[0].0 + 1);
    assert_eq!(shopper.call(Method::POST, &path, None).await?.0, StatusCode::NOT_FOUND);
    let added: i64 = sqlx::query_scalar(
        "insert into seats
             (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
         select event_id, section_id, tier_id, row_label, row_position, '2', 2, 2, y from seats returning id",
    )
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(added, seats[0].0 + 1);
    eventually("it is found", async || {
        shopper.call(Method::POST, &path, None).await.is_ok_and(|(status, _)| status == StatusCode::ACCEPTED)
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_ticket_is_queued_by_its_seat_and_refused_at_once_when_it_is_gone() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let path = format!("/tickets/{}/queue", seats[0]);
    let (status, queued) = first.call(Method::POST, &path, None).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    let queue_id = queued["queueId"].as_str().ok_or("a queueId")?;
    assert_eq!(first.outcome(queue_id).await?["result"]["seats"][0]["seatId"], json!(seats[0]));
    assert_eq!(first.get(&format!("/tickets/queue/{queue_id}")).await?.1["status"], "completed");
    let (status, refused) = second.call(Method::POST, &path, None).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("seat_taken")));
    let body = json!({"seatIds": [seats[0]], "fallback": "any"});
    let job = second.book(event, body).await?;
    assert_eq!(second.outcome(&job).await?["status"], "completed", "the fallback takes another seat");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn another_gateway_knows_the_same_places() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let [paused, told] = [json!({"message": "soon"}), json!({"message": "Gate B is open"})];
    let mut quiet = Vec::new();
    for (verb, mut body) in [("pause", paused), ("resume", told)] {
        let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
        body["eventId"] = json!(event);
        operator.post(&format!("/api/admin/queue/{verb}"), body).await?;
        quiet.push(event);
    }
    let other = lab.add(&[Part::Gateway]).await?;
    let shoppers = lab.shoppers(5).await?;
    // Nobody has booked there yet, and nothing has changed since it started.
    let mut socket = Socket::open(&shoppers[0].at(&other.url)).await?;
    for (event, is_paused, message) in [(quiet[0], true, "soon"), (quiet[1], false, "Gate B is open")] {
        socket.say(json!({"type": "watch", "eventId": event})).await?;
        let state = socket.until("event").await?;
        assert_eq!((&state["paused"], &state["message"]), (&json!(is_paused), &json!(message)));
    }
    drop(socket);
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let mut last = String::new();
    for shopper in &shoppers {
        last = shopper.book(event, json!({"quantity": 1})).await?;
    }
    let there = shoppers[4].at(&other.url);
    eventually("the other gateway tells the place", async || {
        there.status(&last).await.is_ok_and(|status| status["place"] == 5 && status["paused"] == true)
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(there.outcome(&last).await?["status"], "completed");
    other.stop().await;
    Ok(())
}
