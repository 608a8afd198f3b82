//! Somebody who talks to the gateway.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::{EventId, SeatId, UserId};

use super::PATIENCE;

/// An answer: status and body.
pub(crate) type Answer = (StatusCode, Value);

/// A person with a token.
#[derive(Clone)]
pub(crate) struct Shopper {
    pub(crate) id: UserId,
    pub(crate) token: String,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Shopper {
    /// The same person at another gateway.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// The same person at this address, as a proxy tells it; it must be a trusted one.
    pub(crate) fn coming_from(&self, ip: &'static str) -> Result<Self, reqwest::Error> {
        let told = (HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(ip));
        let http = reqwest::Client::builder().default_headers(HeaderMap::from_iter([told])).build()?;
        Ok(Self { http, ..self.clone() })
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Takes a place in a line; the job's reference.
    pub(crate) async fn book(
        &self,
        event: EventId,
        body: Value,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let (status, answer) = self.post(&format!("/api/bookings/{event}/book"), body).await?;
        if status != StatusCode::ACCEPTED {
            return Err(format!("{status}: {answer}").into());
        }
        Ok(answer["jobId"].as_str().unwrap_or_default().to_owned())
    }

    /// Takes a place in the line for these seats.
    pub(crate) async fn book_seats(
        &self,
        event: EventId,
        seats: &[SeatId],
    ) -> Result<String, Box<dyn std::error::Error>> {
        self.book(event, json!({ "seatIds": seats })).await
    }

    pub(crate) async fn status(&self, job: &str) -> Result<Value, reqwest::Error> {
        Ok(self.get(&format!("/api/bookings/status/{job}")).await?.1)
    }

    /// How a job ends.
    pub(crate) async fn outcome(&self, job: &str) -> Result<Value, Box<dyn std::error::Error>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(status) = self.status(job).await
                && ["completed", "failed"].contains(&status["status"].as_str().unwrap_or_default())
            {
                return Ok(status);
            }
            assert!(Instant::now() < deadline, "job has no outcome in time: {:?}", self.status(job).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
