//! `GET` and `POST /api/admin/layouts`, `GET`, `PATCH` and `DELETE /api/admin/layouts/:id`,
//! `GET` and `PUT /api/admin/layouts/:id/places`

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::shop::admin::{Format, LayoutInput, Template};
use shared::store::LayoutRow;
use utoipa::{IntoParams, ToSchema};

use super::by;
use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Whose layouts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct VenueQuery {
    #[serde(alias = "venue_id")]
    venue_id: Option<i64>,
}

/// Of which venue the layout is, and its name.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct ImportQuery {
    #[serde(alias = "venue_id")]
    venue_id: i64,
    #[param(min_length = 1, max_length = 200)]
    name: String,
}

/// A new name.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LayoutBody {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// A layout without its places.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LayoutView {
    id: i64,
    venue_id: i64,
    name: String,
    /// How many seats.
    seats: u32,
    /// Seats and the capacity of areas.
    places: u32,
    /// Names that an event must have a price for.
    tiers: Vec<String>,
    updated_at: DateTime<Utc>,
}

/// Layouts; 1,000 at most.
#[derive(Debug, Serialize, ToSchema)]
pub struct LayoutList {
    items: Vec<LayoutView>,
}

impl From<LayoutRow> for LayoutView {
    fn from(layout: LayoutRow) -> Self {
        let LayoutRow { id, venue, name, seats, places, tiers, updated_at } = layout;
        Self { id, venue_id: venue, name, seats, places, tiers, updated_at }
    }
}

/// The places of a layout as they come in: `text/csv` or `application/json`.
async fn input(request: Request) -> Result<LayoutInput, Problem> {
    let format = format(request.headers())?;
    let bytes = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::plain(Code::BodyTooLarge),
        _ => Problem::new(Code::BadRequest, rejection.body_text()),
    })?;
    Ok(LayoutInput { format, bytes })
}

fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => Ok(Format::Json),
        "text/csv" => Ok(Format::Csv),
        _ => Err(Problem::new(Code::UnsupportedMediaType, "Send application/json or text/csv")),
    }
}

/// Layouts, of one venue or of all, without their places.
#[utoipa::path(get, path = "/api/admin/layouts", tag = "admin", params(VenueQuery),
    responses((status = 200, body = LayoutList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_layouts(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<VenueQuery>,
) -> Result<Json<LayoutList>, Problem> {
    let layouts = app.administration.layouts(query.venue_id).await?;
    Ok(Json(LayoutList { items: layouts.into_iter().map(Into::into).collect() }))
}

/// Imports a layout of a venue, as a whole or not at all. CSV has lines `section,row,seat,tier,x,y` and
/// `area,capacity,tier`, each after its header.
#[utoipa::path(post, path = "/api/admin/layouts", tag = "admin", params(ImportQuery),
    request_body(content((Template = "application/json"), (String = "text/csv"))),
    responses((status = 201, body = LayoutView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn import_layout(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<(StatusCode, Json<LayoutView>), Problem> {
    let by = by(&app, admin, ip)?;
    let input = input(request).await?;
    let layout = app.administration.create_layout(query.venue_id, &query.name, input, &by).await?;
    tracing::info!(layout.id = layout.id, user.id = by.user.0, seats = layout.seats, "layout imported");
    Ok((StatusCode::CREATED, Json(layout.into())))
}

/// A layout without its places.
#[utoipa::path(get, path = "/api/admin/layouts/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 200, body = LayoutView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_layout(
    State(app): State<App>,
    Admin(_caller): Admin,
    Path(id): Path<i64>,
) -> Result<Json<LayoutView>, Problem> {
    Ok(Json(app.administration.layout(id).await?.into()))
}

/// Gives a layout another name.
#[utoipa::path(patch, path = "/api/admin/layouts/{id}", tag = "admin", params(("id" = i64, Path)), request_body = LayoutBody,
    responses((status = 200, body = LayoutView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn change_layout(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
    Body(body): Body<LayoutBody>,
) -> Result<Json<LayoutView>, Problem> {
    let by = by(&app, admin, ip)?;
    let layout = app.administration.change_layout(id, Some(body.name), None, &by).await?;
    tracing::info!(layout.id = id, user.id = by.user.0, "layout renamed");
    Ok(Json(layout.into()))
}

/// The places of a layout.
#[utoipa::path(get, path = "/api/admin/layouts/{id}/places", tag = "admin", params(("id" = i64, Path)),
    responses((status = 200, body = Template), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_places(
    State(app): State<App>,
    Admin(_caller): Admin,
    Path(id): Path<i64>,
) -> Result<Json<Template>, Problem> {
    Ok(Json(app.administration.layout_places(id).await?))
}

/// Gives a layout other places, as a whole or not at all; events made from it keep theirs.
#[utoipa::path(put, path = "/api/admin/layouts/{id}/places", tag = "admin", params(("id" = i64, Path)),
    request_body(content((Template = "application/json"), (String = "text/csv"))),
    responses((status = 200, body = LayoutView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn replace_places(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
    request: Request,
) -> Result<Json<LayoutView>, Problem> {
    let by = by(&app, admin, ip)?;
    let input = input(request).await?;
    let layout = app.administration.change_layout(id, None, Some(input), &by).await?;
    tracing::info!(layout.id = id, user.id = by.user.0, seats = layout.seats, "layout written anew");
    Ok(Json(layout.into()))
}

/// Deletes a layout; events made from it keep their places.
#[utoipa::path(delete, path = "/api/admin/layouts/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn delete_layout(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let by = by(&app, admin, ip)?;
    app.administration.delete_layout(id, &by).await?;
    tracing::info!(layout.id = id, user.id = by.user.0, "layout deleted");
    Ok(StatusCode::NO_CONTENT)
}
