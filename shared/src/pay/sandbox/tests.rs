//! Against the sandbox itself, behind the circuit breaker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::pay::breaker::CircuitState;
use crate::pay::connect;
use crate::pay::signature::sign;
use crate::pay::testing::{SECRET, config, money, new_refund, new_session, webhook};

struct Lab {
    provider: Arc<dyn Provider>,
    url: String,
    http: reqwest::Client,
    /// Takes the webhooks.
    shop: MockServer,
    shutdown: CancellationToken,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Lab {
    async fn start() -> Self {
        let shop = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&shop).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        let secrets = ("a key for the tests".into(), SECRET.into());
        let settings = ::sandbox::SandboxConfig::with_secrets(secrets.0, secrets.1);
        tokio::spawn(::sandbox::serve(listener, settings, shutdown.clone()));
        let hook = format!("--sandbox-webhook-url={}/api/webhook/payment", shop.uri());
        let more =
            [hook.as_str(), "--circuit-breaker-failure-threshold=2", "--circuit-breaker-timeout-seconds=1"];
        let provider = connect(&config("sandbox", &url, &more)).expect("settings").chosen().clone();
        Self { provider, url, http: reqwest::Client::new(), shop, shutdown }
    }

    async fn pay(&self, session: &Session, choice: &str) {
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let clicked =
            client.post(&session.redirect_url).form(&[("choice", choice)]).send().await.expect("a page");
        assert_eq!(clicked.status(), 303);
    }

    async fn order(&self, fault: Value) {
        let request = self.http.post(format!("{}/faults", self.url)).bearer_auth("a key for the tests");
        let ordered = request.json(&fault).send().await.expect("an answer");
        assert_eq!(ordered.status(), 204, "{fault}");
    }

    /// The state that the next webhook told, once so many have come.
    async fn told(&self, count: usize) -> Vec<Notice> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let requests = self.shop.received_requests().await.expect("requests");
            if requests.len() >= count {
                let mut notices = Vec::new();
                for request in requests {
                    let sent = webhook(&request.headers, &request.body, "127.0.0.1");
                    notices.push(self.provider.verify_webhook(sent).await.expect("signed"));
                }
                return notices;
            }
            assert!(Instant::now() < deadline, "{} of {count} webhooks", requests.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn card_is_paid_captured_and_given_back_and_every_step_is_told() {
    let lab = Lab::start().await;
    let new = new_session(money(5_000, "EUR"));
    let session = lab.provider.create_session(&new).await.expect("a session");
    assert_eq!(lab.provider.create_session(&new).await.expect("the same"), session);
    lab.pay(&session, "card").await;
    let state = lab.provider.query(&session.reference).await.expect("a state").expect("known");
    assert_eq!((state.status, state.payment), (PaymentStatus::Authorized, Some(new.payment)));
    let state = lab.provider.capture(&session.reference, new.payment, &new.amount).await.expect("captured");
    assert_eq!((state.status, state.amount), (PaymentStatus::Captured, new.amount.clone()));
    let refund = new_refund(&session.reference, money(2_000, "EUR"));
    let first = lab.provider.refund(&refund).await.expect("a refund");
    assert_eq!(lab.provider.refund(&refund).await.expect("the same"), first);
    assert!(first.is_done);
    let state = lab.provider.query(&session.reference).await.expect("a state").expect("known");
    assert_eq!(state.refunded_minor, 2_000);
    let told = lab.told(3).await;
    assert!(
        told.iter()
            .all(|notice| notice.state.as_ref().is_some_and(|state| state.payment == Some(new.payment)))
    );
    let (from, to) = (DateTime::UNIX_EPOCH, Utc::now() + chrono::TimeDelta::minutes(1));
    let (page, next) = lab.provider.list(from, to, None).await.expect("a page");
    assert_eq!((page, next), (vec![state], None));
}

#[tokio::test]
async fn page_that_was_closed_cannot_be_paid_but_a_paid_one_stays_paid() {
    let lab = Lab::start().await;
    let new = new_session(money(5_000, "EUR"));
    let session = lab.provider.create_session(&new).await.expect("a session");
    let state = lab.provider.expire_session(&session.reference).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Expired);
    let paid = lab.provider.create_session(&new_session(money(5_000, "EUR"))).await.expect("a session");
    lab.pay(&paid, "sbp").await;
    let state = lab.provider.expire_session(&paid.reference).await.expect("a state");
    assert_eq!(state.status, PaymentStatus::Captured);
    assert_eq!(lab.provider.query("sbx_unknown").await.expect("an answer"), None);
    let refused = lab.provider.capture(&session.reference, new.payment, &new.amount).await;
    assert!(matches!(refused, Err(PayError::Refused { .. })));
}

#[tokio::test]
async fn call_that_timed_out_with_its_effect_done_is_repeated_without_a_second_effect() {
    let lab = Lab::start().await;
    let new = new_session(money(5_000, "EUR"));
    lab.order(json!({ "on": "create", "kind": "hang", "ms": 2_000, "done": true })).await;
    assert!(matches!(lab.provider.create_session(&new).await, Err(PayError::Away { .. })));
    let session = lab.provider.create_session(&new).await.expect("the one that was made");
    let (from, to) = (DateTime::UNIX_EPOCH, Utc::now() + chrono::TimeDelta::minutes(1));
    assert_eq!(lab.provider.list(from, to, None).await.expect("a page").0.len(), 1);
    lab.pay(&session, "sbp").await;
    let refund = new_refund(&session.reference, money(5_000, "EUR"));
    lab.order(json!({ "on": "refund", "kind": "hang", "ms": 2_000, "done": true })).await;
    assert!(matches!(lab.provider.refund(&refund).await, Err(PayError::Away { .. })));
    assert!(lab.provider.refund(&refund).await.expect("the one that was made").is_done);
    let state = lab.provider.query(&session.reference).await.expect("a state").expect("known");
    assert_eq!(state.refunded_minor, 5_000);
}

#[tokio::test]
async fn circuit_opens_refuses_at_once_still_verifies_webhooks_and_closes_again() {
    let lab = Lab::start().await;
    let session = lab.provider.create_session(&new_session(money(5_000, "EUR"))).await.expect("a session");
    let state = || lab.provider.circuit().expect("a circuit").state;
    // Each call is tried three times, and two calls without an answer open it.
    lab.order(json!({ "on": "query", "kind": "status", "status": 503, "next": 6 })).await;
    for _ in 0..2 {
        assert_eq!(state(), CircuitState::Closed);
        assert!(matches!(lab.provider.query(&session.reference).await, Err(PayError::Away { .. })));
    }
    let status = lab.provider.circuit().expect("a circuit");
    assert_eq!((status.provider, status.state, status.failures), ("sandbox", CircuitState::Open, 2));
    assert!(status.opened_at.is_some() && status.retry_after.is_some());
    let asked = Instant::now();
    assert!(matches!(lab.provider.query(&session.reference).await, Err(PayError::CircuitOpen("sandbox"))));
    assert!(asked.elapsed() < Duration::from_millis(100), "it was asked all the same");

    lab.pay(&session, "sbp").await;
    let told = lab.told(1).await;
    assert_eq!(told[0].state.as_ref().map(|state| state.status), Some(PaymentStatus::Captured));

    let deadline = Instant::now() + Duration::from_secs(10);
    while lab.provider.query(&session.reference).await.is_err() {
        assert!(Instant::now() < deadline, "it never closed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(state(), CircuitState::Closed);
}

#[tokio::test]
async fn refusals_do_not_open_the_circuit() {
    let lab = Lab::start().await;
    let session = lab.provider.create_session(&new_session(money(5_000, "EUR"))).await.expect("a session");
    for _ in 0..10 {
        let refused = lab.provider.refund(&new_refund(&session.reference, money(1, "EUR"))).await;
        assert!(matches!(refused, Err(PayError::Refused { .. })));
    }
    let status = lab.provider.circuit().expect("a circuit");
    assert_eq!((status.state, status.failures), (CircuitState::Closed, 0));
}

#[tokio::test]
async fn forged_and_old_webhooks_are_refused() {
    let lab = Lab::start().await;
    let body = br#"{"id":"sbe_1","session":null}"#;
    let now = Utc::now().timestamp();
    for (signature, is_good) in [
        (sign(SECRET, now, body), true),
        (sign(SECRET, now - 400, body), false),
        (sign("another secret of somebody", now, body), false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("sandbox-signature", signature.parse().expect("a header"));
        let verified = lab.provider.verify_webhook(webhook(&headers, body, "127.0.0.1")).await;
        assert_eq!(verified.is_ok(), is_good);
    }
}

#[tokio::test]
async fn refund_that_is_under_way_is_asked_for_again_until_it_is_done() {
    let lab = Lab::start().await;
    let session = lab.provider.create_session(&new_session(money(5_000, "EUR"))).await.expect("a session");
    lab.pay(&session, "sbp").await;
    lab.order(json!({ "on": "refund", "kind": "pending", "ms": 200 })).await;
    let refund = new_refund(&session.reference, money(5_000, "EUR"));
    assert!(!lab.provider.refund(&refund).await.expect("a refund").is_done);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !lab.provider.refund(&refund).await.expect("the same refund").is_done {
        assert!(Instant::now() < deadline, "it was never done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
