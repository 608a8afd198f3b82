//! The bytes that are sent.

use std::fmt::Write as _;
use std::sync::Arc;

/// A series of requests, by index.
pub trait Requests: Send + Sync {
    /// Writes request `index` behind what `out` holds.
    fn write(&self, index: u64, out: &mut Vec<u8>);
}

/// `POST /api/bookings/:event/book` for the best seats, by one shopper after another. When everybody has asked,
/// they ask again for one seat more, which is another job.
#[derive(Debug, Clone)]
pub struct Bookings {
    head: String,
    tokens: Arc<[String]>,
    first: usize,
    tails: Vec<String>,
}

/// As many jobs as one shopper may have alive at one event.
const ROUNDS: u32 = 5;

impl Bookings {
    /// Bookings at an event, beginning with the shopper `first`.
    pub fn new(host: &str, event: i64, tokens: Arc<[String]>, first: usize) -> Self {
        let tails = (1..=ROUNDS).map(|quantity| {
            let body = format!(r#"{{"quantity":{quantity}}}"#);
            format!("\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        });
        Self {
            head: format!(
                "POST /api/bookings/{event}/book HTTP/1.1\r\nHost: {host}\r\n\
                 Content-Type: application/json\r\nAuthorization: Bearer "
            ),
            tokens,
            first,
            tails: tails.collect(),
        }
    }

    /// How many different jobs there are.
    pub fn count(&self) -> u64 {
        (self.tokens.len() * self.tails.len()) as u64
    }
}

impl Requests for Bookings {
    fn write(&self, index: u64, out: &mut Vec<u8>) {
        let index = usize::try_from(index).unwrap_or(0) + self.first;
        let shopper = index % self.tokens.len();
        let round = (index / self.tokens.len()) % self.tails.len();
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(self.tokens[shopper].as_bytes());
        out.extend_from_slice(self.tails[round].as_bytes());
    }
}

/// `GET /api/bookings/status/:job` of one job after another.
#[derive(Debug, Clone)]
pub struct Polls {
    requests: Vec<String>,
}

impl Polls {
    /// Polls of these jobs, with their owner's token or without one.
    pub fn new<'a>(host: &str, jobs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let requests = jobs.into_iter().map(|(job, token)| {
            let mut text = format!("GET /api/bookings/status/{job} HTTP/1.1\r\nHost: {host}\r\n");
            if let Some(token) = token {
                // Writing to a string does not fail.
                let _ = write!(text, "Authorization: Bearer {token}\r\n");
            }
            text + "\r\n"
        });
        Self { requests: requests.collect() }
    }
}

impl Requests for Polls {
    fn write(&self, index: u64, out: &mut Vec<u8>) {
        let count = self.requests.len().max(1) as u64;
        let at = usize::try_from(index % count).unwrap_or(0);
        out.extend_from_slice(self.requests.get(at).map(String::as_bytes).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shopper_asks_once_before_anybody_asks_again() {
        let tokens: Arc<[String]> = ["a", "b"].map(str::to_owned).into();
        let bookings = Bookings::new("h", 7, tokens, 1);
        let text = |index| {
            let mut out = Vec::new();
            bookings.write(index, &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        assert!(text(0).starts_with("POST /api/bookings/7/book HTTP/1.1\r\nHost: h\r\n"));
        assert!(text(0).ends_with("Bearer b\r\nContent-Length: 14\r\n\r\n{\"quantity\":1}"));
        assert!(text(1).contains("Bearer a") && text(1).ends_with("{\"quantity\":2}"));
        assert_eq!(bookings.count(), 10);
    }
}
