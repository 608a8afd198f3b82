//! The gateway, in reading order:
//!
//! - [`config`]: its settings. [`app`]: what handlers share. [`router`]: every path.
//! - [`caller`]: who asks. [`limits`]: how often they may. [`problem`]: every error that is sent.
//!   [`answer`]: what the busiest paths send.
//! - One folder a resource: [`auth`], [`events`], [`seats`], [`bookings`], [`cart`], [`operations`].
//! - [`ws`]: the WebSocket. [`probes`]: alive, ready, metrics. [`web`]: the pages.
//!
//! [`run`] serves them until it is told to stop.

pub mod answer;
pub mod app;
pub mod auth;
pub mod bookings;
pub mod caller;
pub mod cart;
pub mod config;
pub mod events;
pub mod limits;
pub mod operations;
pub mod probes;
pub mod problem;
pub mod router;
pub mod seats;
pub mod web;
pub mod ws;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use shared::queue::Queue;
use shared::store::Store;
use tokio_util::sync::CancellationToken;

use app::App;
use config::GatewayConfig;

/// What keeps the gateway from serving.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Serving ended.
    #[error("serving ended by itself")]
    Serve(#[source] std::io::Error),
    /// The settings.
    #[error(transparent)]
    Config(#[from] shared::config::ConfigError),
}

/// A header must be complete within this time, so that half-sent ones do not hold connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the port, so that a wrong address is told before anything else starts.
///
/// # Errors
/// The address is taken or not ours.
pub fn listen(config: &GatewayConfig) -> Result<TcpListener, GatewayError> {
    raise_file_limit();
    let address = config.listen;
    let failed = |source| GatewayError::Listen { address, source };
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )
    .map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    socket.bind(&address.into()).map_err(failed)?;
    // Ten thousand may come at the same instant.
    socket.listen(16_384).map_err(failed)?;
    Ok(socket.into())
}

/// Each connection is an open file; the usual soft limit of 1,024 is not enough for a crowd.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(error = %error, "the limit of open files could not be raised");
    }
}

/// Serves until `shutdown`; then it finishes the requests at hand, for some seconds at most.
///
/// # Errors
/// The settings make no sense, or serving ended.
pub async fn run(
    config: GatewayConfig,
    listener: TcpListener,
    store: Store,
    queue: Queue,
    shutdown: CancellationToken,
) -> Result<(), GatewayError> {
    let metrics = probes::recorder();
    let app = App::start(config, store, queue, metrics, &shutdown)?;
    let handle = axum_server::Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        stopping.graceful_shutdown(Some(Duration::from_secs(5)));
    });
    if let Ok(address) = listener.local_addr() {
        tracing::info!(address = %address, "gateway listens on {address}");
    }
    let mut server = axum_server::from_tcp(listener)
        .map_err(GatewayError::Serve)?
        .acceptor(axum_server::accept::NoDelayAcceptor::new())
        .handle(handle);
    server
        .http_builder()
        .http1()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    server
        .serve(router::router(app).into_make_service_with_connect_info::<SocketAddr>())
        .await
        .map_err(GatewayError::Serve)
}
