//! Calls, with their latencies and errors.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use shared::domain::Refusal;

use crate::load::tally::latencies;
use crate::target::Target;

/// How often a call is made again that was answered with `Retry-After`.
const TRIES: u32 = 4;
/// How long it is waited for at most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its name in the closing table.
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) idempotency_key: Option<String>,
}

impl Call {
    /// A call without a body.
    pub(super) fn new(name: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self { name, method, path: path.into(), body: None, idempotency_key: None }
    }

    /// A `GET`.
    pub(super) fn get(name: &'static str, path: impl Into<String>) -> Self {
        Self::new(name, Method::GET, path)
    }

    /// The same with a body.
    pub(super) fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    /// Its JSON; null when it is something else.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The code of a problem; the status where there is none.
    pub(super) fn code(&self) -> String {
        match self.json().get("code").and_then(Value::as_str) {
            Some(code) => code.to_owned(),
            None => format!("http_{}", self.status.as_u16()),
        }
    }

    /// A business "no", which is no error. A 5xx is none, though its code may be that of a job that failed.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if self.status.is_client_error() { Refusal::from_code(&self.code()) } else { None }
    }
}

/// The system under test.
pub(super) struct Api {
    client: reqwest::Client,
    target: Target,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    latencies: BTreeMap<&'static str, Histogram<u64>>,
    errors: BTreeMap<String, u64>,
    outcomes: Outcomes,
}

/// What calls came to, each with all its tries.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcomes {
    /// All of them.
    pub(super) calls: u64,
    /// Those whose last try was an error, or had no answer.
    pub(super) failed: u64,
    /// Those whose last answer was a 5xx that names no time to come again.
    pub(super) server_errors: u64,
}

impl Api {
    pub(super) fn new(target: Target) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(CALL_LIMIT).tcp_nodelay(true).no_proxy().build()?;
        Ok(Self { client, target, told: Mutex::default() })
    }

    /// The target.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Makes a call, again where the answer says so; `None` when nobody answers.
    pub(super) async fn call(&self, call: &Call, token: Option<&str>) -> Option<Answer> {
        let mut tries = 0;
        loop {
            tries += 1;
            let started = Instant::now();
            let sent = self.send(call, token).await;
            // What had no answer has taken that long as well.
            self.record(call.name, started.elapsed());
            let (answer, retry_after) = match sent {
                Ok(answer) => answer,
                Err(error) => {
                    let code = if error.is_timeout() { "no answer in time" } else { "no connection" };
                    self.error(code);
                    self.ended(true, false);
                    return None;
                }
            };
            let is_error = answer.status.as_u16() >= 400 && answer.refusal().is_none();
            if is_error {
                self.error(&answer.code());
            }
            match retry_after {
                Some(wait) if tries < TRIES => tokio::time::sleep(wait.min(LONGEST_WAIT)).await,
                _ => {
                    self.ended(is_error, answer.status.is_server_error() && retry_after.is_none());
                    return Some(answer);
                }
            }
        }
    }

    async fn send(
        &self,
        call: &Call,
        token: Option<&str>,
    ) -> Result<(Answer, Option<Duration>), reqwest::Error> {
        let url = format!("{}{}", self.target.url(), call.path);
        let mut request = self.client.request(call.method.clone(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after =
            retry_after.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let bytes = response.bytes().await?.to_vec();
        Ok((Answer { status, bytes }, retry_after.filter(|_| is_busy)))
    }

    /// Notes how long something took.
    pub(super) fn record(&self, name: &'static str, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.latencies.entry(name).or_insert_with(latencies).saturating_record(us);
    }

    /// Counts a call that is over.
    fn ended(&self, has_failed: bool, is_server_error: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.outcomes.calls += 1;
        told.outcomes.failed += u64::from(has_failed);
        told.outcomes.server_errors += u64::from(is_server_error);
    }

    /// Counts an error.
    pub(super) fn error(&self, code: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told.errors.entry(code.to_owned()).or_default() += 1;
    }

    /// The latencies of each call, in µs.
    pub(super) fn latencies(&self) -> BTreeMap<&'static str, Histogram<u64>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).latencies.clone()
    }

    /// What calls came to.
    pub(super) fn outcomes(&self) -> Outcomes {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).outcomes
    }

    /// Errors by code.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).errors.clone()
    }
}
