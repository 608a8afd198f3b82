//! `GET` and `POST /api/admin/artists`, `GET`, `PATCH` and `DELETE /api/admin/artists/:id`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::shop::admin::{ArtistPatch, Change};
use shared::store::ArtistData;
use utoipa::ToSchema;

use super::{PageQuery, by, change};
use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path, Query};
use crate::problem::{Problem, ProblemBody};

/// What is told of an artist. A new one needs a name; `null` removes what need not be there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtistBody {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>, max_length = 100)]
    genre: Change<String>,
    /// Singer, band, comedian.
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>, max_length = 100)]
    occupation: Change<String>,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    biography: Change<String>,
    /// Albums, films, books; 200 at most.
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<Vec<String>>, max_items = 200)]
    works: Change<Vec<String>>,
}

impl From<ArtistBody> for ArtistPatch {
    fn from(body: ArtistBody) -> Self {
        let ArtistBody { name, genre, occupation, biography, works } = body;
        Self { name, genre, occupation, biography, works }
    }
}

/// An artist.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtistDetail {
    id: i64,
    name: String,
    genre: Option<String>,
    occupation: Option<String>,
    biography: Option<String>,
    works: Vec<String>,
}

/// Artists by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArtistList {
    items: Vec<ArtistDetail>,
}

fn view(id: i64, artist: ArtistData) -> ArtistDetail {
    let ArtistData { name, genre, occupation, biography, works } = artist;
    ArtistDetail { id, name, genre, occupation, biography, works }
}

/// Artists by name.
#[utoipa::path(get, path = "/api/admin/artists", tag = "admin", params(PageQuery),
    responses((status = 200, body = ArtistList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_artists(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<PageQuery>,
) -> Result<Json<ArtistList>, Problem> {
    let artists = app.administration.artists(query.beginning()?, query.part()?).await?;
    Ok(Json(ArtistList { items: artists.into_iter().map(|(id, artist)| view(id, artist)).collect() }))
}

/// Adds an artist.
#[utoipa::path(post, path = "/api/admin/artists", tag = "admin", request_body = ArtistBody,
    responses((status = 201, body = ArtistDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn create_artist(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Body(body): Body<ArtistBody>,
) -> Result<(StatusCode, Json<ArtistDetail>), Problem> {
    let by = by(&app, admin, ip)?;
    let (id, artist) = app.administration.create_artist(body.into(), &by).await?;
    tracing::info!(artist.id = id, user.id = by.user.0, "artist created");
    Ok((StatusCode::CREATED, Json(view(id, artist))))
}

/// One artist.
#[utoipa::path(get, path = "/api/admin/artists/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 200, body = ArtistDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_artist(
    State(app): State<App>,
    Admin(_caller): Admin,
    Path(id): Path<i64>,
) -> Result<Json<ArtistDetail>, Problem> {
    Ok(Json(view(id, app.administration.artist(id).await?)))
}

/// Changes what is given of an artist.
#[utoipa::path(patch, path = "/api/admin/artists/{id}", tag = "admin", params(("id" = i64, Path)), request_body = ArtistBody,
    responses((status = 200, body = ArtistDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn change_artist(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
    Body(body): Body<ArtistBody>,
) -> Result<Json<ArtistDetail>, Problem> {
    let by = by(&app, admin, ip)?;
    let artist = app.administration.change_artist(id, body.into(), &by).await?;
    tracing::info!(artist.id = id, user.id = by.user.0, "artist changed");
    Ok(Json(view(id, artist)))
}

/// Deletes an artist who plays nowhere.
#[utoipa::path(delete, path = "/api/admin/artists/{id}", tag = "admin", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn delete_artist(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let by = by(&app, admin, ip)?;
    app.administration.delete_artist(id, &by).await?;
    tracing::info!(artist.id = id, user.id = by.user.0, "artist deleted");
    Ok(StatusCode::NO_CONTENT)
}
