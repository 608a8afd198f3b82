//! Waiting for the outcome, on a socket or by polling.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use rand::RngExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::api::Call;
use super::ledger::Place;
use super::shopper::Shopper;

/// How often a socket that was closed is opened again.
const TRIES: usize = 4;
/// Between two polls, in ms.
const PATIENCE_MS: std::ops::Range<u64> = 300..1_500;

/// An open socket.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a job ended for its shopper.
#[derive(Debug)]
pub(super) enum End {
    /// Places, and until when they are held.
    Won(Won),
    /// A "no".
    Refused(String),
    /// They left.
    Left,
    /// The time is over.
    Waiting,
    /// An error.
    Broken,
}

/// What was won.
#[derive(Debug, Clone)]
pub(super) struct Won {
    pub(super) booking: String,
    pub(super) places: Vec<Place>,
    /// How long the hold runs from when it was told.
    pub(super) remaining: Duration,
}

impl Won {
    /// Reads a result, or a booking that stands for one.
    pub(super) fn read(result: &Value) -> Option<Self> {
        let booking = result.get("bookingId").or_else(|| result.get("id"))?.as_str()?.to_owned();
        let seats = result.get("seats")?.as_array()?;
        let places: Vec<Place> = seats.iter().filter_map(Place::read).collect();
        let of_seats = || seats.iter().filter_map(|seat| seat.get("remainingSeconds")?.as_u64()).min();
        let seconds = result.get("remainingSeconds").and_then(Value::as_u64).or_else(of_seats).unwrap_or(0);
        (places.len() == seats.len() && !places.is_empty()).then_some(Self {
            booking,
            places,
            remaining: Duration::from_secs(seconds),
        })
    }
}

/// How a status or a message says that it is over; `None` while it goes on.
fn end_of(message: &Value) -> Option<End> {
    let word = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    let won = || {
        let won = message.get("result").and_then(Won::read);
        Some(won.map_or(End::Broken, End::Won))
    };
    let failed = || {
        let code = word("code");
        Some(if code == "left" { End::Left } else { End::Refused(code.to_owned()) })
    };
    match (word("type"), word("status")) {
        ("reserved", _) | ("" | "status", "completed") => won(),
        ("failed", _) | ("" | "status", "failed") => failed(),
        _ => None,
    }
}

impl Shopper {
    /// Asks again and again.
    pub(super) async fn poll(&mut self, job: &str) -> End {
        let call = Call::get("poll a place", format!("/api/bookings/status/{job}"));
        loop {
            let Some(answer) = self.call(&call).await else { return End::Broken };
            if !answer.status.is_success() {
                return End::Broken;
            }
            if let Some(end) = end_of(&answer.json()) {
                return end;
            }
            let wait = Duration::from_millis(self.rng.random_range(PATIENCE_MS));
            if Instant::now() + wait > self.deadline {
                return End::Waiting;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Listens until it is over; comes back after the socket was closed. Hands the socket on.
    pub(super) async fn listen(&mut self, job: &str) -> (End, Option<Socket>) {
        let subscribe = json!({"type": "subscribe", "jobId": job}).to_string();
        for _ in 0..TRIES {
            let Ok(mut socket) = self.open_socket(&subscribe).await else {
                self.api.error("socket refused");
                let pause = Duration::from_millis(self.rng.random_range(PATIENCE_MS));
                tokio::time::sleep(pause).await;
                continue;
            };
            loop {
                match timeout_at(self.deadline.into(), self.next_message(&mut socket)).await {
                    Err(_) => return (End::Waiting, None),
                    Ok(None) => break,
                    Ok(Some(message)) => {
                        if message.get("type").and_then(Value::as_str) == Some("error") {
                            let code = message.get("code").and_then(Value::as_str).unwrap_or("?");
                            self.api.error(&format!("socket: {code}"));
                        }
                        if let Some(end) = end_of(&message) {
                            return (end, Some(socket));
                        }
                    }
                }
            }
            self.api.error("socket closed");
        }
        (End::Broken, None)
    }

    /// Waits until the socket tells that a booking has expired.
    pub(super) async fn wait_for_expiry(&mut self, socket: &mut Socket, booking: &str) -> bool {
        let waiting = async {
            while let Some(message) = self.next_message(socket).await {
                let word = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
                if word("type") == "expired" && word("bookingId") == booking {
                    return true;
                }
            }
            false
        };
        timeout_at(self.deadline.into(), waiting).await.unwrap_or(false)
    }

    /// Leaves the line; what the job won before that is told.
    pub(super) async fn leave(&mut self, job: &str) -> End {
        let call = Call::new("leave the line", Method::DELETE, format!("/api/bookings/queue/{job}"));
        match self.call(&call).await {
            Some(answer) if answer.status.is_success() => end_of(&answer.json()).unwrap_or(End::Left),
            Some(_) | None => End::Broken,
        }
    }

    async fn open_socket(&self, hello: &str) -> Result<Socket> {
        let started = Instant::now();
        let mut request = format!("ws://{}/ws", self.api.target().address).into_client_request()?;
        let bearer = format!("Bearer {}", self.token).parse().context("a token for a header")?;
        request.headers_mut().insert("authorization", bearer);
        let config = WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0);
        let opening = connect_async_with_config(request, Some(config), true);
        let (mut socket, _) = timeout_at(self.deadline.into(), opening).await??;
        socket.send(Message::text(hello)).await?;
        self.api.record("open a socket", started.elapsed());
        Ok(socket)
    }

    /// The next message with something in it; `None` when the socket is closed.
    async fn next_message(&self, socket: &mut Socket) -> Option<Value> {
        loop {
            if let Message::Text(text) = socket.next().await?.ok()? {
                self.ledger.count(|counts| counts.messages += 1);
                return Some(serde_json::from_str(&text).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_from_what_goes_on() {
        let result = json!({"bookingId": "b", "seats": [{"seatId": 3}], "remainingSeconds": 9});
        let won = |message: Value| matches!(end_of(&message), Some(End::Won(won)) if won.places == [Place::Seat(3)]);
        assert!(won(json!({"type": "reserved", "jobId": "j", "result": result})));
        assert!(won(json!({"type": "status", "status": "completed", "result": result})));
        assert!(won(json!({"status": "completed", "result": result})));
        assert!(matches!(end_of(&json!({"status": "failed", "code": "left"})), Some(End::Left)));
        let refused = end_of(&json!({"type": "failed", "code": "sold_out"}));
        assert!(matches!(refused, Some(End::Refused(code)) if code == "sold_out"));
        for going_on in [json!({"status": "queued"}), json!({"type": "place"}), json!({"type": "processing"})]
        {
            assert!(end_of(&going_on).is_none());
        }
    }
}
