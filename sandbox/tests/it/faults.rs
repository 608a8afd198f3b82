//! Each fault that can be ordered.

use std::time::{Duration, Instant};

use serde_json::json;

use super::lab::Lab;

#[tokio::test]
async fn call_takes_as_long_as_ordered() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    lab.order(json!({ "on": "query", "kind": "delay", "ms": 300, "session": id })).await;
    let asked = Instant::now();
    assert_eq!(lab.status(&id).await, "open");
    assert!(asked.elapsed() >= Duration::from_millis(300));
    let asked = Instant::now();
    lab.status(&id).await;
    assert!(asked.elapsed() < Duration::from_millis(300), "only once");
}

#[tokio::test]
async fn calls_fail_with_their_effect_done_or_not() {
    let lab = Lab::start().await;
    for (nth, (kind, done)) in
        [("status", false), ("status", true), ("hang", false), ("hang", true)].into_iter().enumerate()
    {
        let id = lab.session(&nth.to_string()).await;
        lab.click(&id, "card").await;
        lab.order(json!({
            "on": "capture", "kind": kind, "status": 503, "ms": 100, "done": done, "session": id,
        }))
        .await;
        let capture = format!("/v1/sessions/{id}/capture");
        let (status, _) = lab.post(&capture, "c", json!({ "amount": 5_000 })).await;
        assert!(status.is_server_error(), "{kind} {done}");
        assert_eq!(lab.status(&id).await, if done { "captured" } else { "authorized" }, "{kind} {done}");
        let (status, _) = lab.post(&capture, "c", json!({ "amount": 5_000 })).await;
        assert_eq!(status, 200, "the repetition of {kind} {done}");
    }
}

#[tokio::test]
async fn session_that_was_made_behind_a_fault_is_found_again_by_its_key() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "create", "kind": "status", "status": 500, "done": true })).await;
    assert_eq!(lab.post("/v1/sessions", "key", lab.wish()).await.0, 500);
    let made = lab.get("/v1/sessions").await.1["sessions"][0]["id"].clone();
    assert_eq!(json!(lab.session("key").await), made);
}

#[tokio::test]
async fn refund_timed_out_with_its_effect_gives_back_once() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    lab.order(json!({ "on": "refund", "kind": "hang", "ms": 50, "done": true })).await;
    let refunds = format!("/v1/sessions/{id}/refunds");
    assert_eq!(lab.post(&refunds, "r", json!({ "amount": 5_000 })).await.0, 504);
    assert_eq!(lab.post(&refunds, "r", json!({ "amount": 5_000 })).await.0, 200);
    assert_eq!(lab.get(&format!("/v1/sessions/{id}")).await.1["refunded"], 5_000);
}

#[tokio::test]
async fn webhook_is_sent_twice_with_one_name() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "webhook", "kind": "duplicate" })).await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    lab.until_told(&["payment.captured"; 2]).await;
    let requests = lab.shop.received_requests().await.expect("requests");
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn webhook_is_lost_and_the_next_one_is_not() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "webhook", "kind": "lose" })).await;
    let id = lab.session("key").await;
    lab.click(&id, "card").await;
    lab.post(&format!("/v1/sessions/{id}/capture"), "c", json!({ "amount": 5_000 })).await;
    lab.until_told(&["payment.captured"]).await;
}

#[tokio::test]
async fn webhook_comes_after_the_one_that_followed_it() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "webhook", "kind": "reorder", "ms": 60_000 })).await;
    let id = lab.session("key").await;
    lab.click(&id, "card").await;
    lab.post(&format!("/v1/sessions/{id}/capture"), "c", json!({ "amount": 5_000 })).await;
    lab.until_told(&["payment.captured", "payment.authorized"]).await;
}

#[tokio::test]
async fn webhook_that_nothing_follows_comes_when_its_wait_is_over() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "webhook", "kind": "reorder", "ms": 50 })).await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    lab.until_told(&["payment.captured"]).await;
}

#[tokio::test]
async fn webhook_is_late() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "webhook", "kind": "delay", "ms": 300 })).await;
    let id = lab.session("key").await;
    let clicked = Instant::now();
    lab.click(&id, "sbp").await;
    lab.until_told(&["payment.captured"]).await;
    assert!(clicked.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn page_that_was_closed_is_paid_all_the_same() {
    let lab = Lab::start().await;
    // Ordered before it is closed, and after.
    let (first, second) = (lab.session("1").await, lab.session("2").await);
    lab.order(json!({ "on": "expire", "kind": "late_success", "ms": 50, "session": first })).await;
    for id in [&first, &second] {
        let (_, shown) = lab.post(&format!("/v1/sessions/{id}/expire"), "", json!({})).await;
        assert_eq!(shown["status"], "expired");
    }
    lab.order(json!({ "on": "expire", "kind": "late_success", "session": second })).await;
    for id in [&first, &second] {
        lab.until_status(id, "captured").await;
    }
}

#[tokio::test]
async fn money_is_taken_back_by_the_payer_s_bank() {
    let lab = Lab::start().await;
    let (first, second) = (lab.session("1").await, lab.session("2").await);
    // Ordered before it is paid, and after.
    lab.order(json!({ "on": "paid", "kind": "chargeback", "session": first })).await;
    lab.click(&first, "sbp").await;
    lab.until_status(&first, "charged_back").await;
    lab.click(&second, "sbp").await;
    lab.order(json!({ "on": "paid", "kind": "chargeback", "session": second })).await;
    lab.until_status(&second, "charged_back").await;
    let told = lab.told().await;
    assert_eq!(told.iter().filter(|kind| *kind == "payment.captured").count(), 2);
}

#[tokio::test]
async fn refund_stays_pending_for_as_long_as_ordered() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    lab.order(json!({ "on": "refund", "kind": "pending", "ms": 200 })).await;
    lab.order(json!({ "on": "refund", "kind": "pending", "ms": null, "next": 2 })).await;
    let refunds = format!("/v1/sessions/{id}/refunds");
    let (_, refund) = lab.post(&refunds, "r1", json!({ "amount": 1_000 })).await;
    assert_eq!(refund["status"], "pending");
    let (_, stuck) = lab.post(&refunds, "r2", json!({ "amount": 1_000 })).await;
    assert_eq!(stuck["status"], "pending");
    lab.until_told(&["payment.captured", "refund.succeeded"]).await;
    assert_eq!(lab.post(&refunds, "r1", json!({ "amount": 1_000 })).await.1["status"], "succeeded");
    assert_eq!(lab.post(&refunds, "r2", json!({ "amount": 1_000 })).await.1["status"], "pending");
    assert_eq!(lab.get(&format!("/v1/sessions/{id}")).await.1["refunded"], 1_000);
}

#[tokio::test]
async fn faults_are_listed_cleared_and_refused_when_they_make_no_sense() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "webhook", "kind": "lose", "percent": 5 })).await;
    let (_, listed) = lab.get("/faults").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let cleared = lab.request(reqwest::Method::DELETE, "/faults").send().await.expect("an answer");
    assert_eq!((cleared.status().as_u16(), lab.get("/faults").await.1), (204, json!([])));
    for (wrong, status) in [
        (json!({ "on": "create", "kind": "lose" }), 422),
        (json!({ "on": "create", "kind": "hang", "ms": 999_999_999 }), 422),
        (json!({ "on": "webhook", "kind": "lose", "session": "sbx_unknown" }), 404),
        (json!({ "on": "never", "kind": "lose" }), 422),
    ] {
        assert_eq!(lab.post("/faults", "", wrong.clone()).await.0, status, "{wrong}");
    }
}
