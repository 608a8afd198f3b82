//! `GET /api/events/search`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::list::{first, usual};
use super::listed::{EventList, answer, text, wanted};
use crate::app::App;
use crate::caller::{ClientIp, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// What is looked for, and which page of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct SearchQuery {
    /// Words in English, Ukrainian or Russian; `"side by side"`, `or` and `-not` mean what they do elsewhere.
    #[param(min_length = 1, max_length = 200)]
    q: String,
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// 1 to 100.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    page_size: u32,
    /// Look among what has begun in place of what is to come.
    #[serde(default)]
    archive: bool,
}

/// Events by words in their names, artists, places and descriptions, best first.
#[utoipa::path(get, path = "/api/events/search", tag = "events", params(SearchQuery),
    responses((status = 200, body = EventList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn search_events(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Query(query): Query<SearchQuery>,
) -> Result<Json<EventList>, Problem> {
    app.limits.check_heavy_read(ip)?;
    let wanted = wanted(query.archive, query.page, query.page_size)?;
    let words = text(Some(query.q), "q")?;
    let words = words.ok_or_else(|| Problem::new(Code::Validation, "q must be 1 to 200 characters"))?;
    let found = app.listings.search(&words, wanted).await?;
    Ok(Json(answer(&app, found, (query.page, query.page_size)).await?))
}
