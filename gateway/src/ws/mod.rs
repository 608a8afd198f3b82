//! The WebSocket: `hub` hears what happens in the lanes, `socket` tells one browser, `message` is what they
//! say to each other.

mod hub;
mod message;
mod pace;
mod socket;

pub use hub::Hub;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::response::Response;

use crate::app::App;
use crate::caller::{ClientIp, MaybeCaller, is_same_origin};
use crate::problem::{Code, Problem};

/// Small buffers: ten thousand sockets mostly wait.
const BUFFER: usize = 1_024;
/// What a browser may say at once.
const MAX_MESSAGE: usize = 4_096;

/// `GET /ws`
pub async fn open_socket(
    State(app): State<App>,
    MaybeCaller(caller): MaybeCaller,
    ClientIp(ip): ClientIp,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| Problem::new(Code::BadRequest, rejection.body_text()))?;
    check_origin(&app, &headers)?;
    let held = app
        .hub
        .admit(ip, app.config.max_sockets_per_ip)
        .ok_or_else(|| Problem::new(Code::TooManyRequests, "Too many sockets are open from your address"))?;
    let viewer = caller.map(|caller| caller.actor);
    Ok(upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |stream| socket::run(app, stream, viewer, held)))
}

/// A browser says where the page came from; whoever is no browser says nothing.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let is_listed = origin
        .to_str()
        .is_ok_and(|origin| app.config.allowed_origins.iter().any(|allowed| allowed == origin));
    if is_listed || is_same_origin(headers) { Ok(()) } else { Err(Problem::plain(Code::CrossSite)) }
}
