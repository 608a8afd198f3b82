//! One's place in a line: kept, told, left.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::auth::Role;
use shared::domain::{Outcome, Refusal};
use shared::queue::claim::Claim;
use shared::queue::settle::{Decided, Ending};
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Socket, TestResult, assert_invariants, eventually, make_event};

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
