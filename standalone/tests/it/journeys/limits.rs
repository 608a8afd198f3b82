//! How much one person may have, and how often they may ask.

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;

use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, make_event};

#[tokio::test]
async fn nobody_gets_more_places_than_the_event_gives_one_person() -> TestResult {
    let lab = Lab::start().await?;
    let plan = EventPlan { seat_limit: 3, ..EventPlan::hall(2, 10) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    let (status, refused) =
        shopper.post(&format!("/api/bookings/{event}/book"), json!({"quantity": 4})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")));
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let two = shopper.book(event, json!({"quantity": 2})).await?;
    let three = shopper.book(event, json!({"quantity": 3})).await?;
    let one = shopper.book(event, json!({"quantity": 1})).await?;
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    assert_eq!(shopper.outcome(&two).await?["status"], "completed");
    assert_eq!(shopper.outcome(&three).await?["code"], "limit_reached");
    assert_eq!(shopper.outcome(&one).await?["status"], "completed", "what fits is still given");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn one_shopper_has_a_bounded_number_of_live_jobs() -> TestResult {
    let lab = Lab::start_with(&[], &["--queue-max-jobs-per-shopper=2"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shopper = lab.shopper().await?;
    shopper.book(event, json!({"quantity": 1})).await?;
    shopper.book(event, json!({"quantity": 2})).await?;
    let (status, refused) =
        shopper.post(&format!("/api/bookings/{event}/book"), json!({"quantity": 3})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_jobs")));
    Ok(())
}

#[tokio::test]
async fn a_full_lane_and_too_many_writes_are_refused_with_a_time_to_come_back() -> TestResult {
    let words = ["--queue-max-waiting=2", "--rate-limit-max=4"];
    let lab = Lab::start_with(&[], &words).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shoppers = lab.shoppers(3).await?;
    for shopper in &shoppers[..2] {
        shopper.book(event, json!({"quantity": 1})).await?;
    }
    let book = |shopper: &crate::lab::Shopper, quantity: u32| {
        let path = format!("{}/api/bookings/{event}/book", shopper.url);
        lab.http.post(path).bearer_auth(&shopper.token).json(&json!({"quantity": quantity})).send()
    };
    let full = book(&shoppers[2], 1).await?;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.headers().contains_key("retry-after"));
    assert_eq!(full.json::<serde_json::Value>().await?["code"], "queue_full");
    let mut last = None;
    for quantity in 1..=5 {
        last = Some(book(&shoppers[2], quantity).await?);
    }
    let last = last.ok_or("an answer")?;
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(last.headers().contains_key("retry-after"));
    Ok(())
}
