//! The gateway, in reading order:
//!
//! - [`config`]: its settings. [`app`]: what handlers share. [`serve`]: connections, [`wire`]: the bytes of one.
//!   [`router`]: every path.
//! - [`caller`]: who asks. [`limits`]: how often they may. [`idempotency`]: the same request twice.
//!   [`problem`]: every error that is sent, `codes`: what they mean. [`answer`]: what the busiest paths send.
//! - [`seldom`]: log lines that every request would write. [`headers`]: what browsers are told. [`tls`]: certificates.
//!   [`per_address`]: how many of something an address holds.
//! - One folder a resource: [`auth`], [`account`], [`people`], [`events`], [`seats`], [`bookings`], [`cart`],
//!   [`checkout`], [`payments`], [`tickets`], [`checkin`], [`operations`], [`oversight`], [`mailbox`].
//! - [`admin`]: what admins do.
//! - [`ws`]: the WebSocket. [`probes`]: alive, ready, metrics. [`web`]: the pages.
//!
//! [`run`] serves them until it is told to stop.

pub mod account;
pub mod admin;
pub mod answer;
pub mod app;
pub mod auth;
pub mod bookings;
pub mod caller;
pub mod cart;
pub mod checkin;
pub mod checkout;
mod codes;
pub mod config;
mod document;
pub mod events;
pub mod head_timer;
pub mod headers;
pub mod idempotency;
pub mod limits;
pub mod mailbox;
pub mod operations;
pub mod oversight;
pub mod payments;
pub mod people;
pub mod per_address;
pub mod probes;
pub mod problem;
pub mod router;
pub mod seats;
pub mod seldom;
pub mod serve;
pub mod tickets;
pub mod tls;
pub mod web;
pub mod wire;
pub mod ws;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use shared::config::ServicesConfig;
use shared::queue::Queue;
use shared::seen::{self, Part};
use shared::store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use app::App;
use config::GatewayConfig;
use serve::Paths;
use tls::Tls;
use wire::Bounds;

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
    /// The certificate.
    #[error("TLS cannot be spoken")]
    Tls(#[from] tls::TlsError),
}

/// Opens the port, so that a wrong address is told before anything else starts.
///
/// # Errors
/// The address is taken or not ours.
pub fn listen(config: &GatewayConfig) -> Result<TcpListener, GatewayError> {
    raise_file_limit();
    listen_on(config.listen)
}

fn listen_on(address: SocketAddr) -> Result<TcpListener, GatewayError> {
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

/// Memory is taken 4 kB at a time: a crowd that arrives at once would else wait for 2 MB to be cleared, again and again.
fn refuse_huge_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::warn!(error = %error, "huge pages could not be refused");
    }
}

/// Serves until `stopping`, and for `SHUTDOWN_DRAIN_MS` more, in which `/ready` says so; then it finishes the requests at hand and
/// closes its sockets, for some seconds at most.
///
/// # Errors
/// The settings make no sense, or serving ended.
pub async fn run(
    config: GatewayConfig,
    services: ServicesConfig,
    listener: TcpListener,
    (store, queue): (Store, Queue),
    stopping: CancellationToken,
) -> Result<(), GatewayError> {
    refuse_huge_pages();
    let shutdown = CancellationToken::new();
    let pause = Duration::from_millis(config.shutdown_drain_ms);
    tokio::spawn(drain(stopping.clone(), shutdown.clone(), pause));
    let metrics = probes::recorder();
    let app = App::start(config, services, (store, queue), metrics, (&stopping, &shutdown))?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(address = %address, "gateway listens on {address}");
    }
    tokio::spawn(seen::keep_writing(Part::Gateway, app.store.clone(), shutdown.clone()));
    let bounds = Bounds::new(&app.config);
    let redirects = redirect_plain(&app.config, &listener, (&bounds, &shutdown))?;
    let tls = Tls::load(&app.config)?;
    if let Some(tls) = tls.clone() {
        tokio::spawn(tls.follow_files(shutdown.clone()));
    }
    let served = serve::serve(listener, tls, Paths::of(app), (bounds, shutdown.clone())).await;
    // The other listener ends with this one, however it has ended.
    stopping.cancel();
    shutdown.cancel();
    if let Some(redirects) = redirects {
        let _ = redirects.await;
    }
    served.map_err(GatewayError::Serve)
}

/// Ends some time after it was told to stop.
async fn drain(stopping: CancellationToken, shutdown: CancellationToken, pause: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(pause).await;
    shutdown.cancel();
}

/// Sends plain HTTP over to the port of `listener`, where that is wanted.
fn redirect_plain(
    config: &GatewayConfig,
    listener: &TcpListener,
    (bounds, shutdown): (&Bounds, &CancellationToken),
) -> Result<Option<JoinHandle<std::io::Result<()>>>, GatewayError> {
    let Some(address) = config.http_redirect_listen else { return Ok(None) };
    let port = listener.local_addr().map_err(GatewayError::Serve)?.port();
    let plain = listen_on(address)?;
    let until = (bounds.clone(), shutdown.clone());
    Ok(Some(tokio::spawn(serve::serve(plain, None, Paths::only(tls::redirects(port)), until))))
}
