//! `GET /api/admin/api-keys`, `POST /api/admin/api-keys`, `DELETE /api/admin/api-keys/:id`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::auth::Scope;
use shared::domain::UserId;
use shared::shop::accounts::{By, KeyRequest};
use shared::store::ApiKeyRecord;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// The latest keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyList {
    items: Vec<ApiKeyView>,
}

/// A key; what a service sends is told only when it is made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyView {
    id: Uuid,
    name: String,
    /// The service that acts by it.
    service_id: UserId,
    scopes: Vec<Scope>,
    created_by: UserId,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    /// To a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime<Utc>>,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyBody {
    /// What it is for.
    name: String,
    /// What it permits.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// A service that exists already, for its next key.
    #[serde(alias = "service_id")]
    service_id: Option<UserId>,
    /// 1 to 3,650; for ever if absent.
    #[serde(alias = "expires_in_days")]
    #[schema(minimum = 1, maximum = 3_650)]
    expires_in_days: Option<u32>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeApiKey {
    /// For `X-Api-Key` or `Authorization: Bearer`; told this once.
    key: String,
    #[serde(flatten)]
    view: ApiKeyView,
}

impl From<ApiKeyRecord> for ApiKeyView {
    fn from(record: ApiKeyRecord) -> Self {
        Self {
            id: record.id,
            name: record.name,
            service_id: record.service,
            scopes: record.scopes.list(),
            created_by: record.created_by,
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
            revoked_at: record.revoked_at,
        }
    }
}

/// The latest 1,000 keys.
#[utoipa::path(get, path = "/api/admin/api-keys", tag = "admin",
    responses((status = 200, body = ApiKeyList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_api_keys(
    State(app): State<App>,
    Admin(_caller): Admin,
) -> Result<Json<ApiKeyList>, Problem> {
    let keys = app.accounts.api_keys().await?;
    Ok(Json(ApiKeyList { items: keys.into_iter().map(ApiKeyView::from).collect() }))
}

/// Makes a key for a service.
#[utoipa::path(post, path = "/api/admin/api-keys", tag = "admin", request_body = ApiKeyBody,
    responses((status = 201, body = MadeApiKey), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn make_api_key(
    State(app): State<App>,
    Admin(caller): Admin,
    ClientIp(ip): ClientIp,
    Body(body): Body<ApiKeyBody>,
) -> Result<(StatusCode, Json<MadeApiKey>), Problem> {
    app.limits.check_write(caller.user)?;
    let ApiKeyBody { name, scopes, service_id, expires_in_days } = body;
    let request = KeyRequest { name, scopes, service: service_id, expires_in_days };
    let made = app.accounts.make_key(request, By { user: caller.user, ip: Some(ip) }).await?;
    tracing::info!(key.id = %made.record.id, by.id = caller.user.0, "API key made");
    Ok((StatusCode::CREATED, Json(MadeApiKey { key: made.key, view: made.record.into() })))
}

/// Revokes a key, within a second everywhere.
#[utoipa::path(delete, path = "/api/admin/api-keys/{id}", tag = "admin", params(("id" = Uuid, Path, description = "The key")),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn revoke_api_key(
    State(app): State<App>,
    Admin(caller): Admin,
    ClientIp(ip): ClientIp,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    app.limits.check_write(caller.user)?;
    app.accounts.revoke_key(id, By { user: caller.user, ip: Some(ip) }).await?;
    tracing::info!(key.id = %id, by.id = caller.user.0, "API key revoked");
    Ok(StatusCode::NO_CONTENT)
}
