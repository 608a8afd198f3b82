//! Against a server that answers with Stripe's documented bodies.

use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::domain::OrderId;
use crate::pay::signature::sign;
use crate::pay::testing::{OLD_SECRET, SECRET, config, money, new_refund, new_session, webhook};

const REFERENCE: &str = "cs_test_a1";

fn stripe(server: &MockServer) -> Stripe {
    Stripe::new(&config("stripe", &server.uri(), &[])).expect("settings")
}

fn metadata(payment: PaymentId) -> Value {
    json!({ "payment_id": payment, "order_id": OrderId::new() })
}

fn intent(status: &str, payment: PaymentId) -> Value {
    json!({
        "id": "pi_3Q", "object": "payment_intent", "amount": 5_000, "currency": "eur", "status": status,
        "amount_capturable": if status == "requires_capture" { 5_000 } else { 0 },
        "amount_received": if status == "succeeded" { 5_000 } else { 0 },
        "capture_method": "manual", "metadata": metadata(payment),
        "latest_charge": { "id": "ch_1", "amount_refunded": 0, "disputed": false },
    })
}

fn session(status: &str, payment_status: &str, payment: PaymentId, intent: Value) -> Value {
    json!({
        "id": REFERENCE, "object": "checkout.session", "url": "https://checkout.stripe.com/c/pay/cs_test_a1",
        "status": status, "payment_status": payment_status, "amount_total": 5_000, "currency": "eur",
        "metadata": metadata(payment), "payment_intent": intent,
    })
}

async fn answer(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
}

async fn answer_session(server: &MockServer, body: Value) {
    answer(server, "GET", &format!("/v1/checkout/sessions/{REFERENCE}"), 200, body).await;
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    json!({ "id": "evt_1", "object": "event", "type": kind, "data": { "object": object } })
        .to_string()
        .into_bytes()
}

async fn told(stripe: &Stripe, body: &[u8]) -> Result<Notice, PayError> {
    let mut headers = reqwest::header::HeaderMap::new();
    let signature = sign(SECRET, Utc::now().timestamp(), body);
    headers.insert("stripe-signature", signature.parse().expect("a header"));
    stripe.verify_webhook(webhook(&headers, body, "203.0.113.1")).await
}

#[tokio::test]
async fn session_is_opened_with_manual_capture_and_the_payment_as_its_key() {
    let server = MockServer::start().await;
    let new = new_session(money(5_000, "EUR"));
    let payment = new.payment.to_string();
    Mock::given(method("POST"))
        .and(path("/v1/checkout/sessions"))
        .and(header("authorization", "Bearer sk_test_1"))
        .and(header("idempotency-key", payment.as_str()))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(header_exists("stripe-version"))
        .and(body_string_contains("payment_intent_data%5Bcapture_method%5D=manual"))
        .and(body_string_contains(format!("payment_intent_data%5Bmetadata%5D%5Bpayment_id%5D={payment}")))
        .and(body_string_contains("%5Bunit_amount%5D=5000"))
        .and(body_string_contains("%5Bcurrency%5D=eur"))
        .and(body_string_contains("expires_at=1790001800"))
        .respond_with(ResponseTemplate::new(200).set_body_json(session(
            "open",
            "unpaid",
            new.payment,
            Value::Null,
        )))
        .expect(1)
        .mount(&server)
        .await;
    let made = stripe(&server).create_session(&new).await.expect("a session");
    assert_eq!(made.reference, REFERENCE);
    assert_eq!(made.redirect_url, "https://checkout.stripe.com/c/pay/cs_test_a1");
}

#[tokio::test]
async fn yen_are_minor_units_already() {
    let server = MockServer::start().await;
    let new = new_session(money(4_200, "JPY"));
    Mock::given(body_string_contains("%5Bunit_amount%5D=4200"))
        .and(body_string_contains("%5Bcurrency%5D=jpy"))
        .respond_with(ResponseTemplate::new(200).set_body_json(session(
            "open",
            "unpaid",
            new.payment,
            Value::Null,
        )))
        .expect(1)
        .mount(&server)
        .await;
    stripe(&server).create_session(&new).await.expect("a session");
}

#[tokio::test]
async fn currencies_that_keep_their_decimals_there_are_scaled_both_ways() {
    let payment = PaymentId::new();
    let in_currency = |mut object: Value, currency: &str| {
        object["currency"] = json!(currency);
        object
    };
    for (currency, theirs, amount) in [("ISK", "isk", 50), ("UGX", "ugx", 50), ("JPY", "jpy", 5_000)] {
        let amount = money(amount, currency);
        let server = MockServer::start().await;
        let mut held = in_currency(intent("requires_capture", payment), theirs);
        held["latest_charge"]["amount_refunded"] = json!(2_000);
        let page = in_currency(session("complete", "unpaid", payment, held.clone()), theirs);
        answer_session(&server, page.clone()).await;
        answer(&server, "GET", "/v1/checkout/sessions", 200, json!({ "data": [page.clone()] })).await;
        answer(&server, "POST", "/v1/checkout/sessions", 200, page).await;
        let taken = in_currency(intent("succeeded", payment), theirs);
        answer(&server, "POST", "/v1/payment_intents/pi_3Q/capture", 200, taken).await;
        let stripe = stripe(&server);
        stripe.create_session(&new_session(amount.clone())).await.expect("a session");
        let captured = stripe.capture(REFERENCE, payment, &amount).await.expect("a state");
        assert_eq!(captured.amount, amount);
        let state = stripe.query(REFERENCE).await.expect("a state").expect("known");
        let refunded = 2 * amount.amount / 5;
        assert_eq!((&state.amount, state.refunded_minor), (&amount, refunded));
        let time = DateTime::from_timestamp(1_000, 0).expect("a time");
        let (listed, _) = stripe.list(time, time, None).await.expect("a page");
        assert_eq!((&listed[0].amount, listed[0].refunded_minor), (&amount, refunded));
        let told_of = told(&stripe, &event("payment_intent.amount_capturable_updated", &held)).await;
        let state = told_of.expect("a notice").state.expect("ours");
        assert_eq!((&state.amount, state.refunded_minor), (&amount, refunded));
        let requests = server.received_requests().await.expect("requests");
        let bodies: Vec<String> =
            requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
        assert!(bodies.iter().any(|body| body.contains("%5Bunit_amount%5D=5000&")), "{bodies:?}");
        assert!(bodies.iter().any(|body| body.contains("amount_to_capture=5000&")), "{bodies:?}");
        let form = refund_form("pi_3Q", &new_refund(REFERENCE, amount));
        assert!(form.contains(&("amount", "5000".to_owned())), "{form:?}");
    }
}

#[tokio::test]
async fn fault_is_tried_again_with_the_same_key_and_the_same_words() {
    let server = MockServer::start().await;
    let new = new_session(money(5_000, "EUR"));
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    answer(
        &server,
        "POST",
        "/v1/checkout/sessions",
        200,
        session("open", "unpaid", new.payment, Value::Null),
    )
    .await;
    let stripe = stripe(&server);
    stripe.create_session(&new).await.expect("a session at the second try");
    stripe.create_session(&new).await.expect("and when all of it is repeated");
    let requests = server.received_requests().await.expect("requests");
    assert_eq!(requests.len(), 3);
    let key = &requests[0].headers["idempotency-key"];
    assert!(requests.iter().all(|request| request.headers["idempotency-key"] == key));
    assert!(requests.iter().all(|request| request.body == requests[0].body));
}

#[tokio::test]
async fn what_never_answers_or_breaks_is_away_and_what_makes_no_sense_is_strange() {
    for (template, is_away) in [
        (ResponseTemplate::new(200).set_delay(std::time::Duration::from_secs(5)), true),
        (ResponseTemplate::new(500), true),
        (ResponseTemplate::new(200).set_body_string("<html>"), false),
        (ResponseTemplate::new(200).set_body_json(json!({ "id": 5 })), false),
        (ResponseTemplate::new(200).set_body_bytes(vec![b' '; 5 << 20]), false),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"), false),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(template).mount(&server).await;
        let failed = stripe(&server).query(REFERENCE).await.expect_err("no answer");
        let is_right = match &failed {
            PayError::Away { .. } => is_away,
            PayError::Strange { .. } => !is_away,
            PayError::Refused { .. }
            | PayError::Later { .. }
            | PayError::CircuitOpen(_)
            | PayError::Forged(_) => false,
        };
        assert!(is_right, "{failed}");
    }
    let nowhere = Stripe::new(&config("stripe", "http://127.0.0.1:1", &[])).expect("settings");
    assert!(matches!(nowhere.query(REFERENCE).await, Err(PayError::Away { .. })));
}

#[tokio::test]
async fn refusal_is_told_without_what_it_says_of_the_payer() {
    let server = MockServer::start().await;
    let body = json!({ "error": {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "message": "Your card with shopper@usher.test has insufficient funds.",
    } });
    answer(&server, "POST", "/v1/checkout/sessions", 402, body).await;
    let refused =
        stripe(&server).create_session(&new_session(money(5_000, "EUR"))).await.expect_err("a refusal");
    assert_eq!(refused.to_string(), "stripe refused: 402 card_error card_declined insufficient_funds");
}

#[tokio::test]
async fn session_and_payment_together_make_the_state() {
    let payment = PaymentId::new();
    for (page, paid, intent_status, expected) in [
        ("open", "unpaid", None, PaymentStatus::Open),
        ("open", "unpaid", Some("requires_payment_method"), PaymentStatus::Open),
        ("complete", "unpaid", Some("requires_capture"), PaymentStatus::Authorized),
        ("complete", "unpaid", Some("processing"), PaymentStatus::Open),
        ("complete", "unpaid", Some("requires_payment_method"), PaymentStatus::Declined),
        ("complete", "paid", Some("succeeded"), PaymentStatus::Captured),
        ("complete", "unpaid", Some("canceled"), PaymentStatus::Expired),
        ("expired", "unpaid", None, PaymentStatus::Expired),
        ("expired", "unpaid", Some("requires_payment_method"), PaymentStatus::Expired),
    ] {
        let server = MockServer::start().await;
        let intent = intent_status.map_or(Value::Null, |status| intent(status, payment));
        answer_session(&server, session(page, paid, payment, intent)).await;
        let state = stripe(&server).query(REFERENCE).await.expect("a state").expect("known");
        assert_eq!(state.status, expected, "{page} {paid} {intent_status:?}");
        assert_eq!((state.payment, state.amount), (Some(payment), money(5_000, "EUR")));
    }
}

#[tokio::test]
async fn amount_is_what_the_provider_states_whatever_was_asked_for() {
    let server = MockServer::start().await;
    let payment = PaymentId::new();
    let mut wrong = intent("succeeded", payment);
    wrong["amount_received"] = json!(1);
    wrong["latest_charge"]["amount_refunded"] = json!(1);
    answer_session(&server, session("complete", "paid", payment, wrong)).await;
    let state = stripe(&server).query(REFERENCE).await.expect("a state").expect("known");
    assert_eq!((state.amount, state.refunded_minor), (money(1, "EUR"), 1));
}

#[tokio::test]
async fn payment_that_is_not_known_is_none_and_odd_names_are_never_sent() {
    let server = MockServer::start().await;
    let stripe = stripe(&server);
    assert_eq!(stripe.query("cs_unknown").await.expect("an answer"), None);
    for odd in ["../refunds", "a/b", "", "a?b", &"a".repeat(300)] {
        assert!(matches!(stripe.query(odd).await, Err(PayError::Refused { .. })), "{odd}");
    }
    assert_eq!(server.received_requests().await.expect("requests").len(), 1);
}

#[tokio::test]
async fn open_page_is_expired_and_a_paid_one_is_left_as_it_is() {
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    answer_session(&server, session("complete", "unpaid", payment, intent("requires_capture", payment)))
        .await;
    let state = stripe(&server).expire_session(REFERENCE).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Authorized);

    let server = MockServer::start().await;
    let at = format!("/v1/checkout/sessions/{REFERENCE}");
    let open = ResponseTemplate::new(200).set_body_json(session("open", "unpaid", payment, Value::Null));
    Mock::given(method("GET"))
        .and(path(at.as_str()))
        .respond_with(open)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    // Paid between the look and the closing: what is so afterwards counts.
    let closed = json!({ "error": { "type": "invalid_request_error" } });
    answer(&server, "POST", &format!("{at}/expire"), 400, closed).await;
    answer_session(&server, session("complete", "unpaid", payment, intent("requires_capture", payment)))
        .await;
    let state = stripe(&server).expire_session(REFERENCE).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Authorized);
}

#[tokio::test]
async fn capture_takes_what_is_set_aside_once() {
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    answer_session(&server, session("complete", "unpaid", payment, intent("requires_capture", payment)))
        .await;
    Mock::given(method("POST"))
        .and(path("/v1/payment_intents/pi_3Q/capture"))
        .and(header("idempotency-key", format!("{payment}-capture").as_str()))
        .and(body_string_contains("amount_to_capture=5000"))
        .respond_with(ResponseTemplate::new(200).set_body_json(intent("succeeded", payment)))
        .expect(1)
        .mount(&server)
        .await;
    let state = stripe(&server).capture(REFERENCE, payment, &money(5_000, "EUR")).await.expect("a state");
    assert_eq!((state.status, state.reference.as_str()), (PaymentStatus::Captured, REFERENCE));

    let server = MockServer::start().await;
    answer_session(&server, session("complete", "paid", payment, intent("succeeded", payment))).await;
    let state = stripe(&server).capture(REFERENCE, payment, &money(5_000, "EUR")).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Captured, "nothing is taken a second time");
}

#[tokio::test]
async fn refund_is_made_once_even_after_its_key_was_forgotten() {
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    answer_session(&server, session("complete", "paid", payment, intent("succeeded", payment))).await;
    let new = new_refund(REFERENCE, money(1_500, "EUR"));
    let known = json!({ "id": "re_1", "status": "succeeded", "metadata": { "refund_id": new.refund } });
    let list = json!({ "object": "list", "data": [], "has_more": false });
    Mock::given(method("GET"))
        .and(path("/v1/refunds"))
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let list = json!({ "object": "list", "data": [known.clone()], "has_more": false });
    answer(&server, "GET", "/v1/refunds", 200, list).await;
    Mock::given(method("POST"))
        .and(path("/v1/refunds"))
        .and(header("idempotency-key", new.refund.to_string().as_str()))
        .and(body_string_contains("amount=1500"))
        .respond_with(ResponseTemplate::new(200).set_body_json(known))
        .expect(1)
        .mount(&server)
        .await;
    let stripe = stripe(&server);
    for _ in 0..2 {
        let done = stripe.refund(&new).await.expect("a refund");
        assert_eq!(done, RefundState { reference: "re_1".to_owned(), is_done: true });
    }
}

#[tokio::test]
async fn refund_that_is_under_way_is_not_done_and_one_that_failed_is_refused() {
    let payment = PaymentId::new();
    for (status, expected) in [("pending", Some(false)), ("failed", None), ("canceled", None)] {
        let server = MockServer::start().await;
        answer_session(&server, session("complete", "paid", payment, intent("succeeded", payment))).await;
        let new = new_refund(REFERENCE, money(1_500, "EUR"));
        let known = json!({ "id": "re_1", "status": status, "metadata": { "refund_id": new.refund } });
        let list = json!({ "data": [known], "has_more": false });
        answer(&server, "GET", "/v1/refunds", 200, list).await;
        let ended = stripe(&server).refund(&new).await;
        assert_eq!(ended.ok().map(|refund| refund.is_done), expected, "{status}");
    }
}

/// What becomes of a refund that was refused so often, where these were made (the ends of their keys, and how they stand);
/// and the keys under which another one was made.
async fn after(refusals: u32, made: &[(&str, &str)]) -> (Option<bool>, Vec<String>) {
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    answer_session(&server, session("complete", "paid", payment, intent("succeeded", payment))).await;
    let new = NewRefund { refusals, ..new_refund(REFERENCE, money(1_500, "EUR")) };
    let refund = |(end, status): &(&str, &str)| {
        let named = json!({ "refund_id": format!("{}{end}", new.refund) });
        json!({ "id": format!("re_{status}"), "status": status, "metadata": named })
    };
    let strangers = [
        json!({ "id": "re_other", "status": "succeeded", "metadata": { "refund_id": PaymentId::new() } }),
        json!({ "id": "re_by_hand", "status": "failed", "metadata": {} }),
    ];
    let data: Vec<Value> = strangers.into_iter().chain(made.iter().map(refund)).collect();
    answer(&server, "GET", "/v1/refunds", 200, json!({ "data": data, "has_more": false })).await;
    answer(&server, "POST", "/v1/refunds", 200, json!({ "id": "re_new", "status": "succeeded" })).await;
    let ended = stripe(&server).refund(&new).await;
    let requests = server.received_requests().await.expect("requests");
    let posted = requests.iter().filter(|request| request.method.as_str() == "POST");
    let keys = posted.map(|request| {
        let key = request.headers["idempotency-key"].to_str().expect("a key").to_owned();
        assert!(String::from_utf8_lossy(&request.body).contains(&format!("refund_id%5D={key}")));
        key.replace(&new.refund.to_string(), "")
    });
    (ended.ok().map(|refund| refund.is_done), keys.collect())
}

/// Refusals so far, what was made, whether it is done, and what is made now.
type Case = (u32, &'static [(&'static str, &'static str)], Option<bool>, &'static [&'static str]);

const CASES: &[Case] = &[
    (0, &[], Some(true), &[""]),
    (0, &[("", "pending")], Some(false), &[]),
    (0, &[("", "requires_action")], Some(false), &[]),
    (0, &[("", "succeeded")], Some(true), &[]),
    // It failed meanwhile: somebody is told first.
    (0, &[("", "failed")], None, &[]),
    (1, &[("", "failed")], Some(true), &["-1"]),
    (1, &[("", "canceled")], Some(true), &["-1"]),
    // Refused without anything made: the key alone is used up.
    (1, &[], Some(true), &["-1"]),
    // What was believed to have failed went through after all.
    (1, &[("", "succeeded")], Some(true), &[]),
    (1, &[("", "pending")], Some(false), &[]),
    // The answer to the second one was lost; or it failed too.
    (1, &[("-1", "pending"), ("", "failed")], Some(false), &[]),
    (1, &[("", "failed"), ("-1", "succeeded")], Some(true), &[]),
    (1, &[("-1", "failed"), ("", "failed")], None, &[]),
    (2, &[("-1", "failed"), ("", "failed")], Some(true), &["-2"]),
    (2, &[("-1", "pending"), ("", "succeeded")], Some(true), &[]),
];

#[tokio::test]
async fn only_a_refund_that_failed_before_is_followed_by_another() {
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
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    answer_session(&server, session("complete", "unpaid", payment, intent("requires_capture", payment)))
        .await;
    answer(&server, "POST", "/v1/payment_intents/pi_3Q/cancel", 200, intent("canceled", payment)).await;
    let done = stripe(&server).refund(&new_refund(REFERENCE, money(5_000, "EUR"))).await.expect("let go");
    assert!(done.is_done);
}

#[tokio::test]
async fn webhooks_tell_the_state_of_the_payment() {
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    answer_session(&server, session("complete", "unpaid", payment, intent("requires_capture", payment)))
        .await;
    let stripe = stripe(&server);
    let name = || json!("pi_3Q");
    let charge = json!({
        "id": "ch_1", "amount": 5_000, "amount_captured": 5_000, "amount_refunded": 2_000, "currency": "eur",
        "payment_intent": "pi_3Q", "metadata": metadata(payment), "disputed": false,
    });
    for (kind, object, expected) in [
        // Money that is only set aside: the payment is read.
        (
            "checkout.session.completed",
            session("complete", "unpaid", payment, name()),
            PaymentStatus::Authorized,
        ),
        ("checkout.session.completed", session("complete", "paid", payment, name()), PaymentStatus::Captured),
        (
            "checkout.session.expired",
            session("expired", "unpaid", payment, Value::Null),
            PaymentStatus::Expired,
        ),
        (
            "checkout.session.async_payment_succeeded",
            session("complete", "paid", payment, name()),
            PaymentStatus::Captured,
        ),
        (
            "checkout.session.async_payment_failed",
            session("complete", "unpaid", payment, name()),
            PaymentStatus::Declined,
        ),
        (
            "payment_intent.amount_capturable_updated",
            intent("requires_capture", payment),
            PaymentStatus::Authorized,
        ),
        // The page is open still, and another card may be tried.
        ("payment_intent.payment_failed", intent("requires_payment_method", payment), PaymentStatus::Open),
        ("payment_intent.canceled", intent("canceled", payment), PaymentStatus::Expired),
        ("charge.refunded", charge, PaymentStatus::Captured),
    ] {
        let notice = told(&stripe, &event(kind, &object)).await.expect("a notice");
        let state = notice.state.expect("ours");
        assert_eq!((state.status, state.payment), (expected, Some(payment)), "{kind}");
        assert_eq!(state.amount, money(5_000, "EUR"), "{kind}");
        assert_eq!(state.refunded_minor, if kind == "charge.refunded" { 2_000 } else { 0 });
        assert_eq!(notice.id, "evt_1");
    }
}

#[tokio::test]
async fn dispute_is_told_as_money_taken_back() {
    let payment = PaymentId::new();
    let server = MockServer::start().await;
    let found = session("complete", "paid", payment, intent("succeeded", payment));
    Mock::given(path("/v1/checkout/sessions"))
        .and(query_param("payment_intent", "pi_3Q"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "data": [found], "has_more": false })))
        .mount(&server)
        .await;
    for (status, amount, is_taken) in [
        ("needs_response", 5_000, true),
        ("under_review", 1_200, true),
        ("lost", 5_000, true),
        ("won", 5_000, false),
        ("warning_needs_response", 5_000, false),
        ("warning_under_review", 5_000, false),
        ("warning_closed", 5_000, false),
    ] {
        let dispute = dispute(status, amount);
        for kind in ["charge.dispute.created", "charge.dispute.funds_withdrawn"] {
            let notice = told(&stripe(&server), &event(kind, &dispute)).await.expect("a notice");
            assert_eq!(notice.state.is_some(), is_taken, "{status}");
            let Some(state) = notice.state else { continue };
            assert_eq!((state.status, state.payment), (PaymentStatus::ChargedBack, Some(payment)));
            assert_eq!((state.reference.as_str(), state.amount), (REFERENCE, money(amount, "EUR")));
        }
    }
}

#[tokio::test]
async fn dispute_that_has_ended_is_told_as_all_disputes_of_the_payment_say() {
    let payment = PaymentId::new();
    for (status, expected) in [("won", PaymentStatus::Captured), ("lost", PaymentStatus::ChargedBack)] {
        let server = MockServer::start().await;
        let mut paid = intent("succeeded", payment);
        paid["latest_charge"]["disputed"] = json!(true);
        let found = json!({ "data": [session("complete", "paid", payment, paid)], "has_more": false });
        answer(&server, "GET", "/v1/checkout/sessions", 200, found).await;
        let list = json!({ "data": [dispute(status, 5_000)], "has_more": false });
        answer(&server, "GET", "/v1/disputes", 200, list).await;
        for kind in ["charge.dispute.closed", "charge.dispute.funds_reinstated"] {
            let notice =
                told(&stripe(&server), &event(kind, &dispute(status, 5_000))).await.expect("a notice");
            let state = notice.state.expect("ours");
            assert_eq!((state.status, state.payment), (expected, Some(payment)), "{kind}");
        }
    }
}

fn dispute(status: &str, amount: i64) -> Value {
    json!({ "id": "dp_1", "payment_intent": "pi_3Q", "amount": amount, "currency": "eur", "status": status })
}

#[tokio::test]
async fn payment_that_was_disputed_is_as_its_disputes_say() {
    let payment = PaymentId::new();
    for (disputes, expected, amount) in [
        (vec![dispute("warning_needs_response", 5_000)], PaymentStatus::Captured, 5_000),
        (vec![dispute("won", 5_000)], PaymentStatus::Captured, 5_000),
        (
            vec![dispute("lost", 1_000), dispute("won", 500), dispute("needs_response", 300)],
            PaymentStatus::ChargedBack,
            1_300,
        ),
        (vec![dispute("lost", 5_000)], PaymentStatus::ChargedBack, 5_000),
    ] {
        let server = MockServer::start().await;
        let mut paid = intent("succeeded", payment);
        paid["latest_charge"]["disputed"] = json!(true);
        answer_session(&server, session("complete", "paid", payment, paid)).await;
        let list = json!({ "data": disputes, "has_more": false });
        answer(&server, "GET", "/v1/disputes", 200, list).await;
        let state = stripe(&server).query(REFERENCE).await.expect("a state").expect("known");
        assert_eq!((state.status, state.amount), (expected, money(amount, "EUR")));
    }
}

#[tokio::test]
async fn events_of_others_do_not_concern_us() {
    let server = MockServer::start().await;
    let stripe = stripe(&server);
    let mut foreign = session("complete", "paid", PaymentId::new(), Value::Null);
    foreign["metadata"] = json!({});
    for (kind, object) in
        [("checkout.session.completed", foreign), ("customer.created", json!({ "id": "cus_1" }))]
    {
        let notice = told(&stripe, &event(kind, &object)).await.expect("a notice");
        assert_eq!(notice.state, None, "{kind}");
    }
    assert!(matches!(told(&stripe, b"{").await, Err(PayError::Strange { .. })));
}

#[tokio::test]
async fn forged_and_old_webhooks_are_refused_and_a_replayed_one_has_the_same_name() {
    let server = MockServer::start().await;
    let stripe = stripe(&server);
    let body = event("customer.created", &json!({}));
    let now = Utc::now().timestamp();
    for (signature, is_good) in [
        (sign(SECRET, now, &body), true),
        (sign(SECRET, now, &body), true),
        (sign(OLD_SECRET, now, &body), true),
        (sign("whsec_of_somebody_else", now, &body), false),
        (sign(SECRET, now - 400, &body), false),
        (sign(SECRET, now, b"another body"), false),
    ] {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("stripe-signature", signature.parse().expect("a header"));
        let verified = stripe.verify_webhook(webhook(&headers, &body, "203.0.113.1")).await;
        match verified {
            Ok(notice) => assert!(is_good && notice.id == "evt_1"),
            Err(error) => assert!(!is_good && matches!(error, PayError::Forged(_))),
        }
    }
    let none = reqwest::header::HeaderMap::new();
    assert!(stripe.verify_webhook(webhook(&none, &body, "203.0.113.1")).await.is_err());
}

#[tokio::test]
async fn list_goes_from_page_to_page_and_leaves_out_what_is_not_ours() {
    let server = MockServer::start().await;
    let payment = PaymentId::new();
    let mut foreign = session("complete", "paid", payment, Value::Null);
    foreign["metadata"] = json!({});
    let ours = session("expired", "unpaid", payment, Value::Null);
    Mock::given(path("/v1/checkout/sessions"))
        .and(query_param("starting_after", REFERENCE))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "data": [], "has_more": false })))
        .mount(&server)
        .await;
    Mock::given(path("/v1/checkout/sessions"))
        .and(query_param("created[gte]", "1000"))
        .and(query_param("created[lt]", "2000"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({ "data": [foreign, ours], "has_more": true })),
        )
        .with_priority(6)
        .mount(&server)
        .await;
    let stripe = stripe(&server);
    let time = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
    let (page, next) = stripe.list(time(1_000), time(2_000), None).await.expect("a page");
    assert_eq!(page.iter().map(|state| state.payment).collect::<Vec<_>>(), [Some(payment)]);
    let (page, end) = stripe.list(time(1_000), time(2_000), next.as_deref()).await.expect("a page");
    assert_eq!((page.len(), end), (0, None));
}
