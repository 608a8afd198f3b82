//! `GET /api/events/archive`

use axum::Json;
use axum::extract::State;

use super::list::ListQuery;
use super::listed::{EventList, answer, wanted};
use crate::app::App;
use crate::caller::{ClientIp, Query};
use crate::problem::{Problem, ProblemBody};

/// What has begun, latest first. An event comes here within some minutes of its beginning.
#[utoipa::path(get, path = "/api/events/archive", tag = "events", params(ListQuery),
    responses((status = 200, body = EventList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_archive(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Query(query): Query<ListQuery>,
) -> Result<Json<EventList>, Problem> {
    app.limits.check_heavy_read(ip)?;
    let (page, size) = (query.page, query.page_size);
    let wanted = wanted(true, page, size)?;
    let found = app.listings.list(&query.filter()?, wanted).await?;
    Ok(Json(answer(&app, found, (page, size)).await?))
}
