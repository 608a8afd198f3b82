//! `GET /api/seats`

use axum::Json;
use axum::extract::State;
use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Deserializer, Serialize};
use shared::domain::{EventId, Layout, Money, SeatId, TierId};
use shared::shop::SeatStatus;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{ClientIp, Query};
use crate::events::load;
use crate::problem::{Code, Problem, ProblemBody};

/// Which seats.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Of which event.
    #[serde(alias = "event_id")]
    #[param(rename = "event_id")]
    event_id: EventId,
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// 1 to 1,000.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 1_000)]
    page_size: u32,
    /// Only of rows with this label.
    #[serde(default, deserialize_with = "unless_empty")]
    row: Option<String>,
    /// Only with this status.
    #[serde(default, deserialize_with = "unless_empty")]
    status: Option<SeatStatus>,
}

/// A filter that is left empty is none.
fn unless_empty<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { T::deserialize(text.into_deserializer()).map(Some) }
}

fn first() -> u32 {
    1
}

fn usual() -> u32 {
    20
}

/// A page of seats.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatList {
    items: Vec<SeatView>,
    page: u32,
    page_size: u32,
    /// How many there are on all pages.
    total: usize,
}

/// A seat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatView {
    id: SeatId,
    event_id: EventId,
    section: String,
    row: String,
    number: String,
    status: SeatStatus,
    tier_id: TierId,
    price: Option<Money>,
}

/// Seats of an event, in pages, as they are now.
#[utoipa::path(get, path = "/api/seats", tag = "seats", params(Wanted),
    responses((status = 200, body = SeatList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_seats(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Query(wanted): Query<Wanted>,
) -> Result<Json<SeatList>, Problem> {
    app.limits.check_heavy_read(ip)?;
    if !(1..=1_000_000).contains(&wanted.page) || !(1..=1_000).contains(&wanted.page_size) {
        return Err(Problem::new(Code::Validation, "page must be 1 to 1,000,000 and pageSize 1 to 1,000"));
    }
    let (event, lane) = load(&app, wanted.event_id).await?;
    let layout = &event.layout;
    let seats = lane.seats.read();
    let board = lane.board.read();
    let Some(live) = seats.as_ref() else { return Err(Problem::plain(Code::StoreUnavailable)) };
    let skip = (wanted.page as usize - 1) * wanted.page_size as usize;
    let (mut total, mut items) = (0, Vec::new());
    for row in &layout.rows {
        if wanted.row.as_ref().is_some_and(|label| *label != row.label) {
            continue;
        }
        for index in row.first..row.first + row.len {
            let status = live.status(index, &board);
            if wanted.status.is_some_and(|wanted| wanted != status) {
                continue;
            }
            total += 1;
            if total > skip && items.len() < wanted.page_size as usize {
                items.extend(view(layout, index, status));
            }
        }
    }
    Ok(Json(SeatList { items, page: wanted.page, page_size: wanted.page_size, total }))
}

fn view(layout: &Layout, index: u32, status: SeatStatus) -> Option<SeatView> {
    let seat = layout.seats.get(index as usize)?;
    let row = layout.rows.get(seat.row as usize)?;
    Some(SeatView {
        id: seat.id,
        event_id: layout.event,
        section: layout.sections.get(row.section as usize)?.name.clone(),
        row: row.label.clone(),
        number: seat.label.clone(),
        status,
        tier_id: seat.tier,
        price: layout.tier(seat.tier).map(|tier| tier.price.clone()),
    })
}
