//! What tests share: a sandbox, and a shop that takes its webhooks.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use sandbox::SandboxConfig;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) const KEY: &str = "a key for the tests";
pub(crate) const SECRET: &str = "a secret for the tests";

/// Where payers go back to.
pub(crate) const SHOP: &str = "https://tickets.test";

/// A sandbox, stopped when dropped.
pub(crate) struct Lab {
    pub(crate) url: String,
    pub(crate) shop: MockServer,
    pub(crate) http: reqwest::Client,
    pub(crate) shutdown: CancellationToken,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Lab {
    /// With a shop that takes every webhook.
    pub(crate) async fn start() -> Self {
        let lab = Self::start_with(|_| {}).await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&lab.shop).await;
        lab
    }

    /// With other settings, and a shop that takes nothing yet.
    pub(crate) async fn start_with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let mut config = SandboxConfig::with_secrets(KEY.into(), SECRET.into());
        config.sandbox_webhook_retry_ms = 20;
        change(&mut config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        tokio::spawn(sandbox::serve(listener, config, shutdown.clone()));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .expect("a client");
        Self { url, shop: MockServer::start().await, http, shutdown }
    }

    pub(crate) fn request(&self, verb: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(verb, format!("{}{path}", self.url)).bearer_auth(KEY)
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: Value) -> (StatusCode, Value) {
        let request = self.request(Method::POST, path).header("idempotency-key", key).json(&body);
        answer_of(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer_of(self.request(Method::GET, path)).await
    }

    pub(crate) fn wish(&self) -> Value {
        json!({
            "amount": 5_000, "currency": "EUR", "description": "2 × Stalls", "language": "en",
            "return_url": format!("{SHOP}/pay/success"), "cancel_url": format!("{SHOP}/pay/fail"),
            "webhook_url": format!("{}/hook", self.shop.uri()),
        })
    }

    /// A new session's name.
    pub(crate) async fn session(&self, key: &str) -> String {
        let (status, made) = self.post("/v1/sessions", key, self.wish()).await;
        assert_eq!(status, 200, "{made}");
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Clicks a button; where the payer is sent.
    pub(crate) async fn click(&self, id: &str, choice: &str) -> (StatusCode, String) {
        let request = self.http.post(format!("{}/pay/{id}", self.url)).form(&[("choice", choice)]);
        let answer = request.send().await.expect("an answer");
        let to = answer.headers().get("location").map(|to| to.to_str().expect("a URL").to_owned());
        (answer.status(), to.unwrap_or_default())
    }

    pub(crate) async fn status(&self, id: &str) -> String {
        let (_, shown) = self.get(&format!("/v1/sessions/{id}")).await;
        shown["status"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn order(&self, fault: Value) {
        let (status, said) = self.post("/faults", "", fault).await;
        assert_eq!(status, 204, "{said}");
    }

    /// The kinds of the webhooks that have come, in their order.
    pub(crate) async fn told(&self) -> Vec<String> {
        let requests = self.shop.received_requests().await.expect("requests");
        let bodies = requests.iter().map(|request| request.body_json::<Value>().expect("JSON"));
        bodies.map(|body| body["type"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub(crate) async fn until_told(&self, kinds: &[&str]) {
        eventually(&format!("webhooks {kinds:?}"), async || self.told().await == kinds).await;
    }

    pub(crate) async fn until_status(&self, id: &str, wanted: &str) {
        eventually(wanted, async || self.status(id).await == wanted).await;
    }
}

async fn answer_of(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

/// Waits for a condition, and fails when it does not come true.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
