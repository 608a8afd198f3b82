//! Against a server that answers with the documented bodies.

use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, body_partial_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::pay::PaymentStatus;
use crate::pay::testing::{config, money, new_refund, new_session, webhook};

const REFERENCE: &str = "23d93cac-000f-5000-8000-126628f15141";
/// One of theirs.
const THEIRS: &str = "185.71.76.5";

fn yookassa(server: &MockServer) -> Yookassa {
    Yookassa::new(&config("yookassa", &server.uri(), &[])).expect("settings")
}

fn payment(status: &str, attempt: PaymentId) -> Value {
    json!({
        "id": REFERENCE, "status": status, "paid": status == "succeeded",
        "amount": { "value": "1234.50", "currency": "RUB" },
        "created_at": "2026-11-20T10:51:18.139Z", "description": "2 × Stalls", "test": true,
        "confirmation": {
            "type": "redirect", "return_url": "https://tickets.test/pay/success",
            "confirmation_url": "https://yoomoney.ru/checkout/payments/v2/contract?orderId=23d93cac",
        },
        "metadata": { "payment_id": attempt, "order_id": attempt }, "refundable": status == "succeeded",
    })
}

async fn answer(server: &MockServer, verb: &str, at: &str, body: Value) {
    let answer = ResponseTemplate::new(200).set_body_json(body);
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
}

async fn answer_payment(server: &MockServer, body: Value) {
    answer(server, "GET", &format!("/v3/payments/{REFERENCE}"), body).await;
}

fn refusal(parameter: &str) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(json!({
        "type": "error", "id": "ab5a11cd", "code": "invalid_request", "parameter": parameter,
        "description": "shopper@usher.test cannot",
    }))
}

#[tokio::test]
async fn payment_is_opened_in_two_steps_with_no_method_named() {
    let server = MockServer::start().await;
    let new = new_session(money(123_450, "RUB"));
    Mock::given(method("POST"))
        .and(path("/v3/payments"))
        .and(basic_auth("54401", "test_secret"))
        .and(header("idempotence-key", new.payment.to_string().as_str()))
        .and(body_partial_json(json!({
            "amount": { "value": "1234.50", "currency": "RUB" }, "capture": false,
            "confirmation": { "type": "redirect", "return_url": "https://tickets.test/pay/success" },
            "metadata": { "payment_id": new.payment, "order_id": new.order },
        })))
        .respond_with(ResponseTemplate::new(200).set_body_json(payment("pending", new.payment)))
        .expect(1)
        .mount(&server)
        .await;
    let made = yookassa(&server).create_session(&new).await.expect("a payment");
    assert_eq!(made.reference, REFERENCE);
    assert!(made.redirect_url.starts_with("https://yoomoney.ru/"));
    let sent = server.received_requests().await.expect("requests");
    assert!(!String::from_utf8_lossy(&sent[0].body).contains("payment_method_data"));
}

#[tokio::test]
async fn shop_without_a_method_in_two_steps_is_asked_for_one() {
    let server = MockServer::start().await;
    let new = new_session(money(123_450, "RUB"));
    Mock::given(body_partial_json(json!({ "capture": false })))
        .respond_with(refusal("capture"))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(body_partial_json(json!({ "capture": true })))
        .and(header("idempotence-key", format!("{}-once", new.payment).as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_json(payment("pending", new.payment)))
        .expect(1)
        .mount(&server)
        .await;
    yookassa(&server).create_session(&new).await.expect("a payment");
}

#[tokio::test]
async fn refusal_is_told_without_what_it_says_of_the_payer() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(refusal("amount.value")).expect(1).mount(&server).await;
    let refused =
        yookassa(&server).create_session(&new_session(money(1, "RUB"))).await.expect_err("a refusal");
    assert_eq!(refused.to_string(), "yookassa refused: 400 invalid_request amount.value");
}

#[tokio::test]
async fn fault_is_tried_again_with_the_same_key() {
    let server = MockServer::start().await;
    let new = new_session(money(123_450, "RUB"));
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    answer(&server, "POST", "/v3/payments", payment("pending", new.payment)).await;
    yookassa(&server).create_session(&new).await.expect("a payment at the third try");
    let requests = server.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 3);
    let key = new.payment.to_string();
    assert!(requests.iter().all(|request| request.headers["idempotence-key"] == key.as_str()));
}

#[tokio::test]
async fn slow_broken_and_senseless_answers_are_told_apart() {
    let slow = ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(5));
    let mut odd = payment("succeeded", PaymentId::new());
    odd["amount"]["value"] = json!("12.345");
    for (template, is_away) in [
        (slow, true),
        (ResponseTemplate::new(502), true),
        (ResponseTemplate::new(200).set_body_string("soon"), false),
        (ResponseTemplate::new(200).set_body_json(odd), false),
        (ResponseTemplate::new(200).set_body_bytes(vec![b' '; 5 << 20]), false),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(template).mount(&server).await;
        let failed = yookassa(&server).query(REFERENCE).await.expect_err("no answer");
        assert_eq!(matches!(failed, PayError::Away { .. }), is_away, "{failed}");
        assert_eq!(matches!(failed, PayError::Strange { .. }), !is_away, "{failed}");
    }
}

#[tokio::test]
async fn states_are_read_and_amounts_are_what_the_provider_states() {
    let attempt = PaymentId::new();
    for (status, reason, expected) in [
        ("pending", None, PaymentStatus::Open),
        ("waiting_for_capture", None, PaymentStatus::Authorized),
        ("succeeded", None, PaymentStatus::Captured),
        ("canceled", Some("insufficient_funds"), PaymentStatus::Declined),
        ("canceled", Some("3d_secure_failed"), PaymentStatus::Declined),
        ("canceled", Some("expired_on_confirmation"), PaymentStatus::Expired),
        ("canceled", Some("canceled_by_merchant"), PaymentStatus::Expired),
    ] {
        let server = MockServer::start().await;
        let mut body = payment(status, attempt);
        if let Some(reason) = reason {
            body["cancellation_details"] = json!({ "party": "payment_network", "reason": reason });
        }
        body["amount"]["value"] = json!("7.01");
        body["refunded_amount"] = json!({ "value": "0.10", "currency": "RUB" });
        answer_payment(&server, body).await;
        let state = yookassa(&server).expire_session(REFERENCE).await.expect("a state");
        assert_eq!(state.status, expected, "{status} {reason:?}");
        assert_eq!((state.amount, state.refunded_minor), (money(701, "RUB"), 10));
        assert_eq!(state.payment, Some(attempt));
    }
}

#[tokio::test]
async fn capture_takes_what_is_set_aside_once() {
    let attempt = PaymentId::new();
    let server = MockServer::start().await;
    answer_payment(&server, payment("waiting_for_capture", attempt)).await;
    Mock::given(method("POST"))
        .and(path(format!("/v3/payments/{REFERENCE}/capture")))
        .and(header("idempotence-key", format!("{attempt}-capture").as_str()))
        .and(body_partial_json(json!({ "amount": { "value": "1234.50", "currency": "RUB" } })))
        .respond_with(ResponseTemplate::new(200).set_body_json(payment("succeeded", attempt)))
        .expect(1)
        .mount(&server)
        .await;
    let amount = money(123_450, "RUB");
    let state = yookassa(&server).capture(REFERENCE, attempt, &amount).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Captured);
    // SBP was taken at once, so there is nothing left to take.
    let server = MockServer::start().await;
    answer_payment(&server, payment("succeeded", attempt)).await;
    let state = yookassa(&server).capture(REFERENCE, attempt, &amount).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Captured);
}

#[tokio::test]
async fn refund_is_made_once_even_after_its_key_was_forgotten() {
    let server = MockServer::start().await;
    answer_payment(&server, payment("succeeded", PaymentId::new())).await;
    let new = new_refund(REFERENCE, money(10_050, "RUB"));
    let refund = json!({
        "id": "216749f7-0016-50be-b000-078d43a63ae4", "status": "succeeded", "payment_id": REFERENCE,
        "amount": { "value": "100.50", "currency": "RUB" }, "description": format!("{} cancelled", new.refund),
    });
    let none = ResponseTemplate::new(200).set_body_json(json!({ "type": "list", "items": [] }));
    Mock::given(method("GET"))
        .and(path("/v3/refunds"))
        .respond_with(none)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    answer(&server, "GET", "/v3/refunds", json!({ "type": "list", "items": [refund.clone()] })).await;
    Mock::given(method("POST"))
        .and(path("/v3/refunds"))
        .and(header("idempotence-key", new.refund.to_string().as_str()))
        .and(body_partial_json(json!({
            "payment_id": REFERENCE, "amount": { "value": "100.50", "currency": "RUB" },
        })))
        .respond_with(ResponseTemplate::new(200).set_body_json(refund))
        .expect(1)
        .mount(&server)
        .await;
    let yookassa = yookassa(&server);
    for _ in 0..2 {
        assert!(yookassa.refund(&new).await.expect("a refund").is_done);
    }
}

/// What becomes of a refund that was refused so often, where these were made (the ends of their keys, and how they stand);
/// and the keys under which another one was made.
async fn after(refusals: u32, made: &[(&str, &str)]) -> (Option<bool>, Vec<String>) {
    let server = MockServer::start().await;
    answer_payment(&server, payment("succeeded", PaymentId::new())).await;
    let new = NewRefund { refusals, ..new_refund(REFERENCE, money(10_050, "RUB")) };
    let refund = |(end, status): &(&str, &str)| {
        let description = format!("{}{end} cancelled", new.refund);
        json!({ "id": "216749f7", "status": status, "payment_id": REFERENCE, "description": description })
    };
    let stranger = json!({ "id": "216749f8", "status": "succeeded", "description": "by hand" });
    let items: Vec<Value> = std::iter::once(stranger).chain(made.iter().map(refund)).collect();
    answer(&server, "GET", "/v3/refunds", json!({ "type": "list", "items": items })).await;
    answer(&server, "POST", "/v3/refunds", json!({ "id": "216749f9", "status": "succeeded" })).await;
    let ended = yookassa(&server).refund(&new).await;
    let requests = server.received_requests().await.expect("requests");
    let posted = requests.iter().filter(|request| request.method.as_str() == "POST");
    let keys = posted.map(|request| {
        let key = request.headers["idempotence-key"].to_str().expect("a key").to_owned();
        assert!(String::from_utf8_lossy(&request.body).contains(&format!("\"{key} cancelled\"")));
        key.replace(&new.refund.to_string(), "")
    });
    (ended.ok().map(|refund| refund.is_done), keys.collect())
}

/// Refusals so far, what was made, whether it is done, and what is made now.
type Case = (u32, &'static [(&'static str, &'static str)], Option<bool>, &'static [&'static str]);

const CASES: &[Case] = &[
    (0, &[], Some(true), &[""]),
    (0, &[("", "pending")], Some(false), &[]),
    (0, &[("", "canceled")], None, &[]),
    (1, &[("", "canceled")], Some(true), &["-1"]),
    (1, &[("", "succeeded")], Some(true), &[]),
    (1, &[("", "canceled"), ("-1", "pending")], Some(false), &[]),
    (1, &[("-1", "canceled"), ("", "canceled")], None, &[]),
    (2, &[("-1", "canceled"), ("", "canceled")], Some(true), &["-2"]),
    (12, &[("-1", "canceled"), ("-12", "succeeded")], Some(true), &[]),
];

#[tokio::test]
async fn only_a_refund_that_was_cancelled_before_is_followed_by_another() {
    for (refusals, made, expected, keys) in CASES {
        let (ended, posted) = after(*refusals, made).await;
        assert_eq!((ended, posted.as_slice()), (*expected, &owned(keys)[..]), "{refusals} {made:?}");
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[tokio::test]
async fn refund_of_what_was_only_set_aside_lets_it_go() {
    let server = MockServer::start().await;
    let attempt = PaymentId::new();
    answer_payment(&server, payment("waiting_for_capture", attempt)).await;
    let at = format!("/v3/payments/{REFERENCE}/cancel");
    answer(&server, "POST", &at, payment("canceled", attempt)).await;
    let done = yookassa(&server).refund(&new_refund(REFERENCE, money(123_450, "RUB"))).await.expect("let go");
    assert!(done.is_done);
}

fn notification(event: &str, object: &Value) -> Vec<u8> {
    json!({ "type": "notification", "event": event, "object": object }).to_string().into_bytes()
}

#[tokio::test]
async fn webhook_only_names_a_payment_which_is_then_read() {
    let server = MockServer::start().await;
    let attempt = PaymentId::new();
    answer_payment(&server, payment("waiting_for_capture", attempt)).await;
    let yookassa = yookassa(&server);
    let headers = reqwest::header::HeaderMap::new();
    // It says more than is true.
    let body = notification("payment.succeeded", &payment("succeeded", attempt));
    let notice = yookassa.verify_webhook(webhook(&headers, &body, THEIRS)).await.expect("a notice");
    let state = notice.state.expect("ours");
    assert_eq!((state.status, state.payment), (PaymentStatus::Authorized, Some(attempt)));
    let early = notice.id;

    // The true one later has another name than the one that came before its time.
    server.reset().await;
    answer_payment(&server, payment("succeeded", attempt)).await;
    let notice = yookassa.verify_webhook(webhook(&headers, &body, THEIRS)).await.expect("a notice");
    assert_ne!(notice.id, early);
    let replayed = yookassa.verify_webhook(webhook(&headers, &body, THEIRS)).await.expect("a notice");
    assert_eq!(replayed.id, notice.id);

    let refund = json!({ "id": "216749f7", "payment_id": REFERENCE, "status": "succeeded" });
    let body = notification("refund.succeeded", &refund);
    let notice = yookassa.verify_webhook(webhook(&headers, &body, THEIRS)).await.expect("a notice");
    assert_eq!(notice.state.expect("ours").reference, REFERENCE);
}

#[tokio::test]
async fn webhook_from_elsewhere_is_forged_and_nothing_is_asked() {
    let server = MockServer::start().await;
    let yookassa = yookassa(&server);
    let headers = reqwest::header::HeaderMap::new();
    let body = notification("payment.succeeded", &payment("succeeded", PaymentId::new()));
    for stranger in ["185.71.76.32", "127.0.0.1", "77.75.156.12", "2a02:5181::1"] {
        let verified = yookassa.verify_webhook(webhook(&headers, &body, stranger)).await;
        assert!(matches!(verified, Err(PayError::Forged(_))), "{stranger}");
    }
    assert!(server.received_requests().await.expect("requests").is_empty());
    for theirs in [
        "185.71.76.31",
        "185.71.77.1",
        "77.75.153.127",
        "77.75.156.11",
        "2a02:5180::9",
        "::ffff:77.75.156.35",
    ] {
        let verified = yookassa.verify_webhook(webhook(&headers, &body, theirs)).await;
        assert_eq!(verified.expect("theirs").state, None, "a payment that they do not know");
    }
    let path_in_it = notification("payment.succeeded", &json!({ "id": "../refunds" }));
    assert!(yookassa.verify_webhook(webhook(&headers, &path_in_it, THEIRS)).await.is_err());
    let strange = yookassa.verify_webhook(webhook(&headers, b"[]", THEIRS)).await;
    assert!(matches!(strange, Err(PayError::Strange { .. })));
}

#[tokio::test]
async fn list_follows_the_cursor_and_leaves_out_what_is_not_ours() {
    let server = MockServer::start().await;
    let attempt = PaymentId::new();
    let mut foreign = payment("succeeded", attempt);
    foreign["metadata"] = json!({});
    Mock::given(path("/v3/payments"))
        .and(query_param("cursor", "next-1"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "type": "list", "items": [] })))
        .mount(&server)
        .await;
    let first =
        json!({ "type": "list", "items": [foreign, payment("pending", attempt)], "next_cursor": "next-1" });
    Mock::given(path("/v3/payments"))
        .and(query_param("created_at.gte", "1970-01-01T00:16:40.000Z"))
        .respond_with(ResponseTemplate::new(200).set_body_json(first))
        .with_priority(6)
        .mount(&server)
        .await;
    let yookassa = yookassa(&server);
    let time = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
    let (page, next) = yookassa.list(time(1_000), time(2_000), None).await.expect("a page");
    assert_eq!((page.len(), page[0].payment), (1, Some(attempt)));
    let (page, end) = yookassa.list(time(1_000), time(2_000), next.as_deref()).await.expect("a page");
    assert_eq!((page.len(), end), (0, None));
}
