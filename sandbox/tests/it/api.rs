//! What shops ask for.

use reqwest::Method;
use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, ResponseTemplate};

use super::lab::{Lab, eventually};

#[tokio::test]
async fn nothing_is_answered_without_the_key() {
    let lab = Lab::start().await;
    for path in ["/v1/sessions", "/v1/sessions/sbx_1", "/faults", "/calls"] {
        let url = format!("{}{path}", lab.url);
        for request in [lab.http.get(&url), lab.http.get(&url).bearer_auth("a key of others")] {
            assert_eq!(request.send().await.expect("an answer").status(), 401, "{path}");
        }
    }
    let health = lab.http.get(format!("{}/health", lab.url)).send().await.expect("an answer");
    assert_eq!(health.status(), 200);
}

#[tokio::test]
async fn same_key_opens_one_session_and_other_words_under_it_are_refused() {
    let lab = Lab::start().await;
    let first = lab.session("key").await;
    assert_eq!(lab.session("key").await, first);
    let mut other = lab.wish();
    other["amount"] = json!(1);
    let (status, said) = lab.post("/v1/sessions", "key", other).await;
    assert_eq!((status.as_u16(), said["error"].as_str()), (422, Some("idempotency_mismatch")));
    assert_ne!(lab.session("another").await, first);
}

#[tokio::test]
async fn calls_of_shops_are_counted_and_nothing_else_is() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    assert_eq!(lab.status(&id).await, "captured");
    lab.get("/faults").await;
    assert_eq!(lab.get("/calls").await.1, json!({ "total": 2, "busiest_second": 2 }));
    let forgotten = lab.request(Method::DELETE, "/calls").send().await.expect("an answer");
    assert_eq!((forgotten.status().as_u16(), lab.get("/calls").await.1["total"].as_u64()), (204, Some(0)));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_word() {
    let lab = Lab::start().await;
    for (field, value) in [
        ("amount", json!(0)),
        ("currency", json!("euros")),
        ("return_url", json!("javascript:alert(1)")),
        ("description", json!("x".repeat(501))),
    ] {
        let mut wish = lab.wish();
        wish[field] = value;
        assert_eq!(lab.post("/v1/sessions", "key", wish).await.0, 422, "{field}");
    }
    let without_key = lab.request(Method::POST, "/v1/sessions").json(&lab.wish());
    assert_eq!(without_key.send().await.expect("an answer").status(), 422);
    let huge = lab.request(Method::POST, "/v1/sessions").body("x".repeat(100_000));
    assert!(huge.send().await.expect("an answer").status().is_client_error());
    assert_eq!(lab.get("/v1/sessions/sbx_unknown").await.0, 404);
    assert_eq!(lab.get("/v1/sessions?cursor=nonsense").await.0, 422);
}

#[tokio::test]
async fn card_is_captured_and_given_back_in_parts() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    let capture = format!("/v1/sessions/{id}/capture");
    assert_eq!(lab.post(&capture, "c", json!({ "amount": 5_000 })).await.0, 422, "nothing is set aside");
    lab.click(&id, "card").await;
    lab.until_told(&["payment.authorized"]).await;
    let (_, shown) = lab.post(&capture, "c", json!({ "amount": 5_000 })).await;
    assert_eq!(shown["status"], "captured");
    lab.until_told(&["payment.authorized", "payment.captured"]).await;
    lab.post(&capture, "c", json!({ "amount": 5_000 })).await;

    let refunds = format!("/v1/sessions/{id}/refunds");
    let (_, first) = lab.post(&refunds, "r1", json!({ "amount": 2_000 })).await;
    assert_eq!(first["status"], "succeeded");
    assert_eq!(lab.post(&refunds, "r1", json!({ "amount": 2_000 })).await.1, first);
    assert_eq!(lab.post(&refunds, "r2", json!({ "amount": 3_001 })).await.0, 422);
    assert_eq!(lab.post(&refunds, "r2", json!({ "amount": 3_000 })).await.0, 200);
    let (_, shown) = lab.get(&format!("/v1/sessions/{id}")).await;
    assert_eq!(shown["refunded"], 5_000);
    lab.until_told(&["payment.authorized", "payment.captured", "refund.succeeded", "refund.succeeded"]).await;
}

#[tokio::test]
async fn refund_of_what_is_set_aside_lets_it_go() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    lab.click(&id, "card").await;
    let (_, refund) = lab.post(&format!("/v1/sessions/{id}/refunds"), "r", json!({ "amount": 5_000 })).await;
    assert_eq!(refund["status"], "released");
    assert_eq!(lab.status(&id).await, "released");
}

#[tokio::test]
async fn list_has_every_session_once_over_its_pages() {
    let lab = Lab::start().await;
    for nth in 0..120 {
        lab.session(&nth.to_string()).await;
    }
    let (_, first) = lab.get("/v1/sessions").await;
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let (_, second) = lab.get(&format!("/v1/sessions?cursor={cursor}")).await;
    let ids: std::collections::BTreeSet<String> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["sessions"].as_array().expect("sessions"))
        .map(|session| session["id"].to_string())
        .collect();
    assert_eq!((ids.len(), second["next_cursor"].is_null()), (120, true));
    let (_, none) = lab.get("/v1/sessions?from_ms=1&to_ms=2").await;
    assert_eq!(none["sessions"], json!([]));
}

#[tokio::test]
async fn webhook_is_sent_again_until_it_is_taken() {
    let lab = Lab::start_with(|_| {}).await;
    let refuse = Mock::given(method("POST")).respond_with(ResponseTemplate::new(503));
    refuse.up_to_n_times(2).mount(&lab.shop).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&lab.shop).await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    lab.until_told(&["payment.captured"; 3]).await;
    let requests = lab.shop.received_requests().await.expect("requests");
    assert!(requests.iter().all(|request| request.body == requests[0].body), "one notice, one name");
    let signature = requests[2].headers["sandbox-signature"].to_str().expect("text");
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
}

#[tokio::test]
async fn page_is_closed_by_itself_when_its_time_is_over() {
    let lab = Lab::start_with(|config| config.sandbox_session_seconds = 0).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&lab.shop).await;
    let id = lab.session("key").await;
    lab.until_status(&id, "expired").await;
    lab.until_told(&["session.expired"]).await;
}

#[tokio::test]
async fn oldest_sessions_are_forgotten_when_there_are_too_many() {
    let lab = Lab::start_with(|config| config.sandbox_max_sessions = 3).await;
    for nth in 0..10 {
        lab.session(&nth.to_string()).await;
    }
    let (_, page) = lab.get("/v1/sessions").await;
    assert_eq!(page["sessions"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn sandbox_stops_when_it_is_told_even_while_a_call_hangs() {
    let lab = Lab::start().await;
    lab.order(json!({ "on": "query", "kind": "hang", "ms": 60_000 })).await;
    let hanging = lab.request(Method::GET, "/v1/sessions/sbx_1").send();
    let stopping = async {
        eventually("the call hangs", async || lab.get("/faults").await.1 == json!([])).await;
        lab.shutdown.cancel();
    };
    let (_, ()) = tokio::join!(hanging, stopping);
    eventually("it is gone", async || lab.http.get(format!("{}/health", lab.url)).send().await.is_err())
        .await;
}
