//! `GET` and `POST /api/admin/venues`, `GET`, `PATCH` and `DELETE /api/admin/venues/:id`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::shop::admin::{Change, VenuePatch};
use shared::store::VenueData;
use utoipa::ToSchema;

use super::{PageQuery, by, change};
use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path, Query};
use crate::problem::{Problem, ProblemBody};

/// What is told of a venue. A new one needs name and city; `null` removes the address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VenueBody {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    city: Option<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>, max_length = 300)]
    address: Change<String>,
}

impl From<VenueBody> for VenuePatch {
    fn from(body: VenueBody) -> Self {
        let VenueBody { name, city, address } = body;
        Self { name, city, address }
    }
}

/// A venue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VenueDetail {
    id: i64,
    name: String,
    city: String,
    address: Option<String>,
}

/// Venues by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct VenueList {
    items: Vec<VenueDetail>,
}

fn view(id: i64, venue: VenueData) -> VenueDetail {
    let VenueData { name, city, address } = venue;
    VenueDetail { id, name, city, address: Some(address).filter(|address| !address.is_empty()) }
}

/// Venues by name.
#[utoipa::path(get, path = "/api/admin/venues", tag = "admin", params(PageQuery),
    responses((status = 200, body = VenueList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_venues(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<PageQuery>,
) -> Result<Json<VenueList>, Problem> {
    let venues = app.administration.venues(query.beginning()?, query.part()?).await?;
    Ok(Json(VenueList { items: venues.into_iter().map(|(id, venue)| view(id, venue)).collect() }))
}

/// Adds a venue.
#[utoipa::path(post, path = "/api/admin/venues", tag = "admin", request_body = VenueBody,
    responses((status = 201, body = VenueDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn create_venue(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Body(body): Body<VenueBody>,
) -> Result<(StatusCode, Json<VenueDetail>), Problem> {
    let by = by(&app, admin, ip)?;
    let (id, venue) = app.administration.create_venue(body.into(), &by).await?;
    tracing::info!(venue.id = id, user.id = by.user.0, "venue created");
    Ok((StatusCode::CREATED, Json(view(id, venue))))
}

/// One venue.
#[utoipa::path(get, path = "/api/admin/venues/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 200, body = VenueDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_venue(
    State(app): State<App>,
    Admin(_caller): Admin,
    Path(id): Path<i64>,
) -> Result<Json<VenueDetail>, Problem> {
    Ok(Json(view(id, app.administration.venue(id).await?)))
}

/// Changes what is given of a venue.
#[utoipa::path(patch, path = "/api/admin/venues/{id}", tag = "admin", params(("id" = i64, Path)), request_body = VenueBody,
    responses((status = 200, body = VenueDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn change_venue(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
    Body(body): Body<VenueBody>,
) -> Result<Json<VenueDetail>, Problem> {
    let by = by(&app, admin, ip)?;
    let venue = app.administration.change_venue(id, body.into(), &by).await?;
    tracing::info!(venue.id = id, user.id = by.user.0, "venue changed");
    Ok(Json(view(id, venue)))
}

/// Deletes a venue without events and layouts.
#[utoipa::path(delete, path = "/api/admin/venues/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn delete_venue(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let by = by(&app, admin, ip)?;
    app.administration.delete_venue(id, &by).await?;
    tracing::info!(venue.id = id, user.id = by.user.0, "venue deleted");
    Ok(StatusCode::NO_CONTENT)
}
