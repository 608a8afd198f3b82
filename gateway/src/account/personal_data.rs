//! `GET /api/account/export` and `DELETE /api/account`

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::cookie;
use crate::caller::{Body, ClientIp, Person};
use crate::problem::{Problem, ProblemBody};

/// Says that it is meant.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ErasureBody {
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// The authenticator's digits or a recovery code, where a second factor is in use.
    code: Option<String>,
}

/// All that is kept of the caller, as a file.
#[utoipa::path(get, path = "/api/account/export", tag = "account",
    responses((status = 200, content_type = "application/json", body = Object), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn export_account(
    State(app): State<App>,
    Person(caller): Person,
    ClientIp(ip): ClientIp,
) -> Result<Response, Problem> {
    app.limits.check_heavy_read(ip)?;
    app.limits.check_own_code(caller.user).await?;
    let data = app.accounts.personal_data(caller.user).await?;
    tracing::info!(user.id = caller.user.0, "personal data handed out");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"usher-account.json\""),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, data).into_response())
}

/// Erases the caller: open bookings are cancelled, orders stay without the person. It cannot be undone.
#[utoipa::path(delete, path = "/api/account", tag = "account", request_body = ErasureBody,
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn erase_account(
    State(app): State<App>,
    Person(caller): Person,
    ClientIp(ip): ClientIp,
    Body(body): Body<ErasureBody>,
) -> Result<Response, Problem> {
    app.limits.check_own_code(caller.user).await?;
    app.accounts.erase((caller.user, Some(ip)), body.password, body.code.as_deref()).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&app, "", 0))]).into_response())
}
