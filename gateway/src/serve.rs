//! Connections: accepted, served over HTTP/1.1, and ended in order.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures_util::future::Either;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::app::App;
use crate::bookings::answer_at_once;
use crate::head_timer::HeadTimers;
use crate::seldom::Seldom;
use crate::tls::Tls;
use crate::wire::Bounds;

/// A header must be complete within this time, so that half-sent ones do not hold connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at hand, and sockets that are told to go, may take this long at the end.
const FAREWELL: Duration = Duration::from_secs(5);
/// After a connection that could not be taken, for want of files for instance.
const PAUSE: Duration = Duration::from_millis(50);
/// What is logged of connections that are too many.
static TOO_MANY: Seldom = Seldom::new();

/// What answers.
#[derive(Clone)]
pub struct Paths {
    /// Of whom polls are asked before anything is routed.
    polled: Option<App>,
    router: Router,
}

/// What answers on one connection.
struct Service {
    paths: Paths,
    peer: SocketAddr,
}

/// The end of all connections. To see that it has not come reads what nobody writes; the token's own look takes a lock, which
/// all requests would share.
#[derive(Default)]
struct Ending {
    has_come: AtomicBool,
    told: CancellationToken,
}

impl Paths {
    /// All paths of a gateway.
    pub fn of(app: App) -> Self {
        Self { polled: Some(app.clone()), router: crate::router::router(app) }
    }

    /// Some paths, and nothing before them.
    pub fn only(router: Router) -> Self {
        Self { polled: None, router }
    }
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let polled = self.paths.polled.as_ref();
        if let Some(answer) = polled.and_then(|app| answer_at_once(app, &request, self.peer.ip())) {
            return Either::Left(ready(Ok(answer)));
        }
        request.extensions_mut().insert(ConnectInfo(self.peer));
        Either::Right(self.paths.router.clone().call(request.map(Body::new)))
    }
}

impl Ending {
    fn come(&self) {
        self.has_come.store(true, Ordering::Release);
        self.told.cancel();
    }
}

/// Serves these paths, over TLS where there is a certificate, until `shutdown`; then requests at hand are finished and sockets
/// take their leave, for some seconds at most.
///
/// The protocol is not guessed from the first bytes, as servers for both versions do: a connection's read buffer would
/// be twice as large by it, and 10,000 connections come at once.
///
/// Of an address that holds too many, a further one is closed at once and unread.
///
/// # Errors
/// The listener is of no use.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    paths: Paths,
    (bounds, shutdown): (Bounds, CancellationToken),
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut http = http1::Builder::new();
    // Answers are small: head and body go out as one piece.
    http.header_read_timeout(HEADER_TIMEOUT).writev(false);
    let timers = HeadTimers::start();
    let ending = Arc::new(Ending::default());
    let connections = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // An answer is not held back for a next one.
        let _ = stream.set_nodelay(true);
        let Some(wire) = bounds.take(stream, peer.ip(), connections.token()) else {
            note_too_many();
            continue;
        };
        let service = Service { paths: paths.clone(), peer };
        let (mut http, ending) = (http.clone(), Arc::clone(&ending));
        http.timer(timers.timer());
        match tls.clone() {
            None => connections.spawn(converse(http, wire, service, ending)),
            Some(tls) => connections.spawn(async move {
                if let Some(stream) = tls.accept(wire).await {
                    converse(http, stream, service, ending).await;
                }
            }),
        };
    }
    drop(listener);
    ending.come();
    connections.close();
    if tokio::time::timeout(FAREWELL, connections.wait()).await.is_err() {
        tracing::warn!("some requests or sockets were cut off, as they took too long");
    }
    Ok(())
}

fn note_too_many() {
    metrics::counter!("usher_connections_refused_total").increment(1);
    if let Some(connections) = TOO_MANY.stands_for(Instant::now()) {
        tracing::warn!(
            connections,
            "an address holds as many connections as it may; further ones are closed"
        );
    }
}

/// Serves one connection to its end.
async fn converse<S>(http: http1::Builder, stream: S, service: Service, ending: Arc<Ending>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let (mut told, mut is_listening, mut is_ending) = (pin!(ending.told.cancelled()), false, false);
    let ended = poll_fn(|cx| {
        // Asked once: a task is woken in the same way for all of its life.
        if !is_listening {
            is_listening = told.as_mut().poll(cx).is_pending();
        }
        let polled = connection.as_mut().poll(cx);
        if polled.is_ready() || is_ending || !ending.has_come.load(Ordering::Acquire) {
            return polled;
        }
        // What had arrived by now was read: one that waits for a request is closed unread.
        is_ending = true;
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::trace!(error = %error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_has_arrived_when_the_end_comes_is_answered() {
        let (mut client, server) = duplex(1_024);
        client.write_all(b"GET / HTTP/1.1\r\nHost: usher\r\n\r\n").await.expect("sent");
        let paths = Paths::only(Router::new().fallback(async || "answered"));
        let service = Service { paths, peer: SocketAddr::from(([127, 0, 0, 1], 1)) };
        let ending = Arc::new(Ending::default());
        ending.come();
        converse(http1::Builder::new(), server, service, ending).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("read to its end");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("answered"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_waits_for_a_request_ends_with_the_others() {
        let (mut client, server) = duplex(1_024);
        let paths = Paths::only(Router::new());
        let service = Service { paths, peer: SocketAddr::from(([127, 0, 0, 1], 1)) };
        let ending = Arc::new(Ending::default());
        let served = tokio::spawn(converse(http1::Builder::new(), server, service, Arc::clone(&ending)));
        tokio::task::yield_now().await;
        ending.come();
        assert_eq!(client.read(&mut [0]).await.expect("its end"), 0);
        served.await.expect("served");
    }
}
