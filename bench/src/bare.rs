//! A bare axum server: the limit of this machine for HTTP and sockets in this language.
//!
//! It answers every request with the same few hundred bytes, `POST /push` sends one message to every socket on
//! `/ws`. Nothing is looked at, stored or signed.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// As long as the answer to a booking request.
const ANSWER: &str = r#"{"message":"You are in the queue","jobId":"AQKA8KOJ2NOfA4CUi8oGAJgGAQIDBAUGBwgBAAEAAGZmZmZmZmZmZmZmZmZmZmY","queueId":"AQKA8KOJ2NOfA4CUi8oGAJgGAQIDBAUGBwgBAAEAAGZmZmZmZmZmZmZmZmZmZmY","queuePosition":1,"estimatedWaitTime":"1 second","waitRange":{"min":0,"max":1},"statusEndpoint":"/api/bookings/status/AQKA8KOJ2NOfA4CUi8oGAJgG"}"#;

/// What a socket of the bare server is greeted with, once it has said something.
pub const GREETING: &str = r#"{"type":"event"}"#;
/// What `POST /push` sends to every socket.
pub const PUSHED: &str = r#"{"type":"paused","eventId":1,"message":"One moment, please"}"#;

/// Options of the bare server.
#[derive(Debug, clap::Args)]
pub struct BareArgs {
    /// Where to listen: an address of this machine
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// Serves until it is ended.
pub async fn run(args: BareArgs) -> Result<()> {
    if !args.listen.ip().is_loopback() {
        bail!("{} is open to other machines; use 127.0.0.1", args.listen);
    }
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("listen on {}", args.listen))?;
    crate::report::say(&format!("bare server on http://{}", listener.local_addr()?));
    serve_on(listener).await
}

/// Serves on a listener that is bound already.
pub async fn serve_on(listener: TcpListener) -> Result<()> {
    let (push, _) = broadcast::channel::<Utf8Bytes>(16);
    let router = Router::new()
        .route("/ws", get(open_socket))
        .route("/push", post(push_to_all))
        .fallback(answer)
        .with_state(push);
    // As Usher does: an answer is not held back for a next one.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    serve(listener, router).await.context("serve")
}

async fn answer() -> Response {
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], ANSWER).into_response()
}

async fn push_to_all(State(push): State<broadcast::Sender<Utf8Bytes>>) -> StatusCode {
    // An error says that nobody listens.
    let _ = push.send(Utf8Bytes::from_static(PUSHED));
    StatusCode::NO_CONTENT
}

async fn open_socket(
    State(push): State<broadcast::Sender<Utf8Bytes>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .read_buffer_size(1_024)
        .write_buffer_size(1_024)
        .max_write_buffer_size(64 * 1_024)
        .on_upgrade(move |socket| tell(socket, push))
}

async fn tell(mut socket: WebSocket, push: broadcast::Sender<Utf8Bytes>) {
    let mut pushed = push.subscribe();
    loop {
        let message = tokio::select! {
            said = socket.recv() => match said {
                Some(Ok(Message::Text(_))) => Utf8Bytes::from_static(GREETING),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            message = pushed.recv() => match message {
                Ok(message) => message,
                Err(_) => return,
            },
        };
        if socket.send(Message::Text(message)).await.is_err() {
            return;
        }
    }
}
