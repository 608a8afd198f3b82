//! Connections: accepted, served over HTTP/1.1, and ended in order.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::middleware::AddExtension;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

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

/// What answers on one connection.
type Paths = TowerToHyperService<AddExtension<Router, ConnectInfo<SocketAddr>>>;

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
    router: Router,
    (bounds, shutdown): (Bounds, CancellationToken),
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut http = http1::Builder::new();
    // Answers are small: head and body go out as one piece.
    http.header_read_timeout(HEADER_TIMEOUT).writev(false);
    let timers = HeadTimers::start();
    let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
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
        let service = match services.call(peer).await {
            Ok(service) => TowerToHyperService::new(service),
            Err(never) => match never {},
        };
        let (mut http, shutdown) = (http.clone(), shutdown.clone());
        http.timer(timers.timer());
        match tls.clone() {
            None => connections.spawn(converse(http, wire, service, shutdown)),
            Some(tls) => connections.spawn(async move {
                if let Some(stream) = tls.accept(wire).await {
                    converse(http, stream, service, shutdown).await;
                }
            }),
        };
    }
    drop(listener);
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
async fn converse<S>(http: http1::Builder, stream: S, service: Paths, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(error = %error, "a connection ended");
    }
}
