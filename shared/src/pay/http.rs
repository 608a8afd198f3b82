//! Calls over HTTP as all adapters make them: paced, with a time-out, bounded answers, and repeated only where that is
//! safe.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;

use super::PayError;
use crate::config::ConfigError;

/// Bytes of an answer that are read: a page of a hundred payments has a tenth of it.
const MAX_ANSWER: usize = 4 << 20;
/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 64 << 10;
/// Times that a request is sent when it is answered with a fault. After a time-out it is not sent again: the shopper
/// has waited enough, and whoever called repeats it later with the same key.
const MAX_TRIES: u32 = 3;
const FIRST_REST: Duration = Duration::from_millis(150);
/// A provider that wants to be left alone for longer is asked again after this.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// What a provider answered.
pub enum Answer {
    /// Done; the body.
    Done(Vec<u8>),
    /// It knows no such thing.
    NotFound,
    /// It said no; the body.
    Refused(StatusCode, Vec<u8>),
}

/// A provider's API.
pub struct Http {
    provider: &'static str,
    client: Client,
    pacer: Pacer,
    timeout: Duration,
}

impl Http {
    /// Calls with this time-out each, and so many a second.
    ///
    /// # Errors
    /// The system lacks what TLS needs.
    pub fn new(provider: &'static str, timeout: Duration, per_second: u32) -> Result<Self, ConfigError> {
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            // A provider's API does not redirect, and a key must not follow where it would.
            .redirect(redirect::Policy::none())
            .user_agent("usher")
            .build()
            .map_err(|error| ConfigError::Invalid(format!("no HTTP client for {provider}: {error}")))?;
        Ok(Self { provider, client, pacer: Pacer::new(per_second), timeout })
    }

    /// The client to build requests with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// So many wait for their turn that another one would wait for longer than a time-out.
    pub fn is_crowded(&self) -> bool {
        self.pacer.backlog(Instant::now()) > self.timeout
    }

    /// Another request would wait for its turn.
    pub fn is_busy(&self) -> bool {
        self.pacer.backlog(Instant::now()) > self.pacer.slack
    }

    /// Sends a request that is safe to repeat: one that reads, or one with an idempotency key.
    ///
    /// # Errors
    /// [`PayError::Away`] without an answer or with a fault, [`PayError::Later`] when there are too many requests,
    /// [`PayError::Strange`] for what is no API's answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, PayError> {
        let (mut tries, mut rest) = (1, FIRST_REST);
        loop {
            self.pacer.turn().await;
            // Bodies are bytes in memory, never streams, so there is always a copy.
            let copy =
                request.try_clone().ok_or_else(|| self.strange("a request that cannot be repeated"))?;
            let failed = match self.send_once(copy).await {
                Err(error @ (PayError::Away { .. } | PayError::Later { .. })) => error,
                ended => return ended,
            };
            let is_slow = matches!(&failed, PayError::Away { why, .. } if why == TIMED_OUT);
            // Nor does anybody wait here as long as a provider may wish to be left alone.
            if tries >= MAX_TRIES || is_slow || self.is_crowded() {
                return Err(failed);
            }
            tokio::time::sleep(rest).await;
            (tries, rest) = (tries + 1, rest * 2);
        }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Answer, PayError> {
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        if status.is_success() {
            return self.read(response, MAX_ANSWER).await.map(Answer::Done);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            if let Some(rest) = rest_of(response.headers()) {
                self.pacer.rest(Instant::now(), rest);
            }
            return Err(self.later(&format!("answered {}", status.as_u16())));
        }
        if is_fault(status) {
            return Err(self.away(&format!("answered {}", status.as_u16())));
        }
        if status == StatusCode::NOT_FOUND {
            return Ok(Answer::NotFound);
        }
        if status.is_client_error() {
            return self.read(response, MAX_REFUSAL).await.map(|body| Answer::Refused(status, body));
        }
        Err(self.strange(&format!("answered {}", status.as_u16())))
    }

    async fn read(&self, mut response: Response, most: usize) -> Result<Vec<u8>, PayError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + chunk.len() > most {
                return Err(self.strange("an answer without end"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A provider's name for something, which becomes part of a path: nothing else may be in it.
    ///
    /// # Errors
    /// [`PayError::Refused`] for what is no name.
    pub fn name<'a>(&self, reference: &'a str) -> Result<&'a str, PayError> {
        let is_name = (1..=255).contains(&reference.len())
            && reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if is_name { Ok(reference) } else { Err(self.refused("no name of a payment")) }
    }

    /// Reads JSON. What does not fit is not repeated in the error: it may hold personal data.
    ///
    /// # Errors
    /// [`PayError::Strange`].
    pub fn decode<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, PayError> {
        decode(self.provider, body)
    }

    /// An error without an answer.
    pub fn away(&self, why: &str) -> PayError {
        PayError::Away { provider: self.provider, why: why.to_owned() }
    }

    /// Too many requests.
    fn later(&self, why: &str) -> PayError {
        PayError::Later { provider: self.provider, why: why.to_owned() }
    }

    /// An error that the provider gave.
    pub fn refused(&self, why: &str) -> PayError {
        PayError::Refused { provider: self.provider, why: why.chars().take(200).collect() }
    }

    /// An answer that makes no sense.
    pub fn strange(&self, why: &str) -> PayError {
        PayError::Strange { provider: self.provider, why: why.to_owned() }
    }

    fn lost(&self, error: &reqwest::Error) -> PayError {
        let why = match () {
            () if error.is_timeout() => TIMED_OUT,
            () if error.is_connect() => "no connection",
            () if error.is_builder() => return self.refused("a request that cannot be built"),
            () => "the connection broke",
        };
        self.away(why)
    }
}

const TIMED_OUT: &str = "no answer in time";

/// Reads JSON; see [`Http::decode`].
///
/// # Errors
/// [`PayError::Strange`].
pub fn decode<T: DeserializeOwned>(provider: &'static str, body: &[u8]) -> Result<T, PayError> {
    serde_json::from_slice(body).map_err(|error| PayError::Strange {
        provider,
        why: format!("{:?} error of JSON at {}:{}", error.classify(), error.line(), error.column()),
    })
}

/// Answers that may be others later: a fault, or another request with the same key that is under way.
fn is_fault(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT)
}

/// How long the provider wants to be left alone, where it says so in seconds.
fn rest_of(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_REST))
}

/// Spreads requests over time: no more than `per_second` of them, with a tenth of a second's worth at once.
struct Pacer {
    every: Duration,
    slack: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    fn new(per_second: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / per_second.max(1),
            slack: Duration::from_millis(100),
            next: Mutex::new(None),
        }
    }

    fn backlog(&self, now: Instant) -> Duration {
        self.next.lock().map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    fn take(&self, now: Instant) -> Duration {
        let mut next = self.next.lock();
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.every);
        turn.saturating_duration_since(now).saturating_sub(self.slack)
    }

    /// Nothing is sent for so long.
    fn rest(&self, now: Instant, rest: Duration) {
        let until = now + rest + self.slack;
        let mut next = self.next.lock();
        *next = Some(next.map_or(until, |next| next.max(until)));
    }

    async fn turn(&self) {
        let wait = self.take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_over_time_and_the_wait_of_the_next_is_known() {
        let pacer = Pacer::new(10);
        let now = Instant::now();
        let waits: Vec<u128> = (0..5).map(|_| pacer.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200, 300]);
        assert_eq!(pacer.backlog(now).as_millis(), 500);
        assert_eq!(pacer.take(now + Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn nothing_is_sent_while_the_provider_wants_to_be_left_alone() {
        let pacer = Pacer::new(10);
        let now = Instant::now();
        pacer.rest(now, Duration::from_secs(2));
        pacer.rest(now, Duration::from_secs(1));
        let waits: Vec<u128> = (0..3).map(|_| pacer.take(now).as_millis()).collect();
        assert_eq!(waits, [2_000, 2_100, 2_200]);
    }
}
