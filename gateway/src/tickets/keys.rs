//! `GET /.well-known/usher-tickets.json`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use shared::tickets::JwkSet;

use crate::app::App;
use crate::caller::ClientIp;
use crate::problem::{Problem, ProblemBody};

/// The public keys that tickets' codes are checked with, for scanners that are offline.
#[utoipa::path(get, path = "/.well-known/usher-tickets.json", tag = "tickets",
    responses((status = 200, content_type = "application/jwk-set+json", body = JwkSet),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_keys(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
) -> Result<([(HeaderName, HeaderValue); 2], Json<JwkSet>), Problem> {
    app.limits.check_read(ip)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    Ok((headers, Json(app.tickets.public_keys())))
}
