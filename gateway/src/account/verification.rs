//! `POST /api/account/verification` and `verification/confirm`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::changes::CodeBody;
use super::profile::Profile;
use crate::app::App;
use crate::caller::{Body, Person};
use crate::problem::{Problem, ProblemBody};

/// Another code is on its way to the e-mail address.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationSent {
    /// Ten minutes; five tries.
    expires_at: DateTime<Utc>,
}

/// Sends another code to the caller's e-mail address; the first one was sent when they registered.
#[utoipa::path(post, path = "/api/account/verification", tag = "account",
    responses((status = 202, body = VerificationSent), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn request_verification(
    State(app): State<App>,
    Person(caller): Person,
) -> Result<(StatusCode, Json<VerificationSent>), Problem> {
    app.limits.check_own_code(caller.user).await?;
    let sent = app.accounts.request_verification(caller.user).await?;
    tracing::info!(user.id = caller.user.0, code.id = %sent.id, "a code for the e-mail address is on its way");
    Ok((StatusCode::ACCEPTED, Json(VerificationSent { expires_at: sent.expires_at })))
}

/// Verifies the caller's e-mail address by the code that went to it.
#[utoipa::path(post, path = "/api/account/verification/confirm", tag = "account", request_body = CodeBody,
    responses((status = 200, body = Profile), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn confirm_verification(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<CodeBody>,
) -> Result<Json<Profile>, Problem> {
    app.limits.check_own_code(caller.user).await?;
    Ok(Json(app.accounts.confirm_verification(caller.user, &body.code).await?.into()))
}
