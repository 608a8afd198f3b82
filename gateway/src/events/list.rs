//! `GET /api/events`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{EventView, load};
use crate::app::App;
use crate::caller::{ClientIp, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// 1 to 100.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    page_size: u32,
}

fn first() -> u32 {
    1
}

fn usual() -> u32 {
    20
}

/// Events that have not begun, by date.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventList {
    items: Vec<EventView>,
    page: u32,
    page_size: u32,
    total: u64,
}

/// What is on.
#[utoipa::path(get, path = "/api/events", tag = "events", params(Page),
    responses((status = 200, body = EventList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_events(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Query(page): Query<Page>,
) -> Result<Json<EventList>, Problem> {
    app.limits.check_heavy_read(ip)?;
    if !(1..=1_000_000).contains(&page.page) || !(1..=100).contains(&page.page_size) {
        return Err(Problem::new(Code::Validation, "page must be 1 to 1,000,000 and pageSize 1 to 100"));
    }
    let offset = i64::from(page.page - 1) * i64::from(page.page_size);
    let records = app.store.events(None, offset, page.page_size.into()).await?;
    let mut items = Vec::with_capacity(records.len());
    for record in records {
        let (event, lane) = load(&app, record.id).await?;
        items.push(EventView::new(&event, &lane));
    }
    let total = app.store.count_events().await?;
    Ok(Json(EventList { items, page: page.page, page_size: page.page_size, total }))
}
