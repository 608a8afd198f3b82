//! A shopper's WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{PATIENCE, Shopper, TestResult};

type Stream = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Somebody's WebSocket.
pub(crate) struct Socket(pub(crate) Stream);

impl Socket {
    /// Opens one.
    pub(crate) async fn open(shopper: &Shopper) -> Result<Self, Box<dyn std::error::Error>> {
        let url = shopper.url.replace("http://", "ws://");
        let mut request = format!("{url}/ws").into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {}", shopper.token).parse()?);
        Ok(Self(tokio_tungstenite::connect_async(request).await?.0))
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: Value) -> TestResult {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// The next message, however many pings come before it.
    pub(crate) async fn next(&mut self) -> Result<Value, Box<dyn std::error::Error>> {
        timeout(PATIENCE, self.read()).await?
    }

    /// The next message of this type; others are passed over.
    pub(crate) async fn until(&mut self, kind: &str) -> Result<Value, Box<dyn std::error::Error>> {
        let search = async {
            loop {
                let message = self.read().await?;
                if message["type"] == kind {
                    return Ok(message);
                }
            }
        };
        timeout(PATIENCE, search).await.map_err(|_| format!("no message of type {kind}"))?
    }

    async fn read(&mut self) -> Result<Value, Box<dyn std::error::Error>> {
        loop {
            let frame = self.0.next().await.ok_or("the socket has ended")??;
            if let Message::Text(text) = frame {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    }
}
