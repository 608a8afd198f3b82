//! A connection's bytes, whatever is spoken over them, from the moment it is taken to its end: TLS, HTTP and WebSocket.
//!
//! It holds its share of what its address may hold, and ends when nothing of what is sent is taken in for too long.
//! Neither costs a request anything: the one is counted when it comes and goes, and the other needs an alarm only while
//! the system's buffers are full.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::{GatewayConfig, is_among};
use crate::per_address::{Held, PerAddress};

/// What connections are bound to; clones share the counts.
#[derive(Clone)]
pub struct Bounds {
    open: PerAddress,
    most: u32,
    /// They bring everybody's requests, over as many connections as these take.
    proxies: Arc<[IpNet]>,
    patience: Duration,
}

/// A connection's bytes.
pub struct Wire {
    stream: TcpStream,
    patience: Duration,
    /// Set while nothing is taken in.
    alarm: Option<Pin<Box<Sleep>>>,
    _held: Option<Held>,
    _tracked: TaskTrackerToken,
}

impl Bounds {
    /// As configured.
    pub fn new(config: &GatewayConfig) -> Self {
        Self {
            open: PerAddress::default(),
            most: config.max_connections_per_ip,
            proxies: config.trusted_proxies.clone().into(),
            patience: Duration::from_millis(config.write_timeout_ms),
        }
    }

    /// Takes a connection, which is tracked until its last byte; `None` when its address holds too many.
    pub fn take(&self, stream: TcpStream, peer: IpAddr, tracked: TaskTrackerToken) -> Option<Wire> {
        let peer = peer.to_canonical();
        let held = if is_among(&self.proxies, peer) { None } else { Some(self.open.take(peer, self.most)?) };
        Some(Wire { stream, patience: self.patience, alarm: None, _held: held, _tracked: tracked })
    }
}

impl Wire {
    /// What came of sending, unless nothing has been taken in for too long.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.alarm = None;
            return sent;
        }
        let patience = self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(alarm.as_mut().poll(cx));
        // The system would go on trying to get rid of what lies in its buffers.
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.in_time(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
