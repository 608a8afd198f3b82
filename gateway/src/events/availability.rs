//! `GET /api/events/:id/availability`

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::domain::EventId;

use super::load;
use super::seatmap::is_known;
use crate::app::App;
use crate::caller::{ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// What is left, two bits a seat, from memory; `docs/API.md` describes the bytes.
#[utoipa::path(get, path = "/api/events/{id}/availability", tag = "events", params(("id" = i64, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 304),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_availability(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Path(id): Path<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.limits.check_read(ip)?;
    let (_, lane) = load(&app, id).await?;
    let seats = lane.seats.read();
    let board = lane.board.read();
    let version = seats.as_ref().map_or(0, shared::shop::LiveSeats::version);
    let etag = format!("\"{version}\"");
    let answer = [
        (header::ETAG, HeaderValue::try_from(etag.as_str()).unwrap_or(HeaderValue::from_static(""))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
    ];
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let bytes = seats.as_ref().map(|seats| seats.encode(&board)).unwrap_or_default();
    Ok((answer, bytes).into_response())
}
