//! `GET /api/events/:id/seatmap`

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use shared::domain::{EventId, Layout, Row, SectionId, TierId};
use utoipa::ToSchema;

use super::show::{AreaView, areas};
use crate::app::App;
use crate::caller::{ClientIp, Path};
use crate::problem::{Code, Problem, ProblemBody};

/// Documents kept ready at most.
const MAPS: usize = 16;

/// The places of an event, which do not move. The order of the seats is the order of the availability bits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatmapView {
    event_id: EventId,
    layout_version: u32,
    sections: Vec<SeatmapSection>,
    areas: Vec<AreaView>,
}

/// A block of rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeatmapSection {
    id: SectionId,
    name: String,
    rows: Vec<SeatmapRow>,
}

/// Seats side by side.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatmapRow {
    label: String,
    /// Absent where seats of one row differ in price.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier_id: Option<TierId>,
    /// Each as id, label, x, y.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    seats: Vec<(i64, String, f32, f32)>,
}

/// The layout of an event, to be kept until it changes.
#[utoipa::path(get, path = "/api/events/{id}/seatmap", tag = "events", params(("id" = i64, Path)),
    responses((status = 200, body = SeatmapView), (status = 304), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_seatmap(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Path(id): Path<EventId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.limits.check_heavy_read(ip)?;
    let event = app.catalogue.event(id).await?;
    let event = event.ok_or_else(|| Problem::new(Code::NotFound, format!("There is no event {id}")))?;
    let etag = format!("\"{}-{}\"", id, event.layout.version);
    let answer = || {
        [
            (header::ETAG, HeaderValue::try_from(etag.as_str()).unwrap_or(HeaderValue::from_static(""))),
            (
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=60, stale-while-revalidate=600"),
            ),
        ]
    };
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, answer()).into_response());
    }
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((answer(), json, bytes(&app, &event.layout)).into_response())
}

/// The document, made once per version of a layout: a stadium's has some megabytes.
fn bytes(app: &App, layout: &Layout) -> Bytes {
    let known = app.seatmaps.lock().get(&layout.event).cloned();
    if let Some((version, bytes)) = known
        && version == layout.version
    {
        return bytes;
    }
    let bytes = Bytes::from(serde_json::to_vec(&view(layout)).unwrap_or_default());
    let mut seatmaps = app.seatmaps.lock();
    if seatmaps.len() >= MAPS {
        seatmaps.clear();
    }
    seatmaps.insert(layout.event, (layout.version, bytes.clone()));
    bytes
}

/// Whether the client says that it has this version.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    known.split(',').any(|known| known.trim().trim_start_matches("W/") == etag)
}

fn view(layout: &Layout) -> SeatmapView {
    let sections = layout.sections.iter().enumerate().map(|(index, section)| SeatmapSection {
        id: section.id,
        name: section.name.clone(),
        rows: layout
            .rows
            .iter()
            .filter(|row| row.section as usize == index)
            .map(|row| SeatmapRow { label: row.label.clone(), tier_id: row.tier, seats: seats(layout, row) })
            .collect(),
    });
    SeatmapView {
        event_id: layout.event,
        layout_version: layout.version,
        sections: sections.collect(),
        areas: areas(layout),
    }
}

fn seats(layout: &Layout, row: &Row) -> Vec<(i64, String, f32, f32)> {
    let seats = layout.seats.iter().skip(row.first as usize).take(row.len as usize);
    let round = |value: f32| (value * 10.0).round() / 10.0;
    seats.map(|seat| (seat.id.0, seat.label.clone(), round(seat.x), round(seat.y))).collect()
}
