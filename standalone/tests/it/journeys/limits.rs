//! How much one person may have, and how often they may ask.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, TestResult, assert_invariants, eventually, make_event};

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

    let gateway = lab.add_with(&[Part::Gateway], &["--queue-max-jobs-per-shopper=1"]).await?;
    let [single, other] = [lab.shopper().await?, lab.shopper().await?].map(|one| one.at(&gateway.url));
    let only = single.book(event, json!({"quantity": 1})).await?;
    let same = single.book(event, json!({"quantity": 1})).await?;
    assert_eq!(same, only, "the same request is the same job, and not one too many");
    let more = json!({"quantity": 2});
    let (status, refused) = single.post(&format!("/api/bookings/{event}/book"), more.clone()).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_jobs")));
    other.book(event, more.clone()).await?;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(single.outcome(&only).await?["status"], "completed");
    // The outcome is told from PostgreSQL, a moment before the job leaves its lane in Redis.
    let mut next = String::new();
    eventually("there is room for one again", async || {
        next = single.book(event, more.clone()).await.unwrap_or_default();
        !next.is_empty()
    })
    .await;
    assert_eq!(single.outcome(&next).await?["status"], "completed");
    lab.until_decided(event, 5).await?;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_full_lane_and_too_many_writes_are_refused_with_a_time_to_come_back() -> TestResult {
    // Four at once, and one more each second.
    let words = ["--queue-max-waiting=2", "--rate-limit-max=4", "--rate-limit-time-window=4000"];
    let lab = Lab::start_with(&[], &words).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let shoppers = lab.shoppers(3).await?;
    for shopper in &shoppers[..2] {
        shopper.book(event, json!({"quantity": 1})).await?;
    }
    let book = || {
        let path = format!("{}/api/bookings/{event}/book", lab.system.url);
        lab.http.post(path).bearer_auth(&shoppers[2].token).json(&json!({"quantity": 1})).send()
    };
    let begun = Instant::now();
    let full = book().await?;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.headers().contains_key("retry-after"));
    assert_eq!(full.json::<serde_json::Value>().await?["code"], "queue_full");
    let mut passed = 1;
    let refused = loop {
        let answer = book().await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        passed += 1;
        assert!(
            passed <= 4 + begun.elapsed().as_secs(),
            "{passed} were let through at {:?}",
            begun.elapsed()
        );
    };
    assert!(passed >= 4, "only {passed} were let through");
    let seconds: u64 = refused.headers()["retry-after"].to_str()?.parse()?;
    assert!((1..=2).contains(&seconds), "a quarter of the window, not {seconds} s");
    let problem: serde_json::Value = refused.json().await?;
    assert_eq!(problem["code"], "too_many_requests");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let back = book().await?;
    assert_eq!(back.status(), StatusCode::SERVICE_UNAVAILABLE, "who comes back then is let through");
    Ok(())
}
