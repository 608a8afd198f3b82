//! `POST /api/auth/password/reset` and `reset/confirm`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::limits::Guess;
use crate::problem::{Problem, ProblemBody};

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ResetRequest {
    /// E-mail address or login name.
    #[serde(alias = "email")]
    login: String,
}

/// The same for every name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetRequested {
    message: &'static str,
}

/// A code that has arrived, and the password that it sets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetConfirmation {
    /// E-mail address or login name.
    #[serde(alias = "email")]
    login: String,
    /// Six digits.
    code: String,
    #[serde(alias = "new_password")]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    new_password: SecretString,
}

/// Sends a code to the account's e-mail address. The answer, and the time it takes, are the same whether or not there is
/// such an account.
#[utoipa::path(post, path = "/api/auth/password/reset", tag = "auth", request_body = ResetRequest,
    responses((status = 202, body = ResetRequested), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn request_reset(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<ResetRequest>,
) -> Result<(StatusCode, Json<ResetRequested>), Problem> {
    app.limits.check_guess(Guess::Code, ip, &body.login.trim().to_lowercase()).await?;
    app.accounts.request_reset(&body.login).await?;
    let message = "If there is such an account, a code is on its way to its e-mail address";
    Ok((StatusCode::ACCEPTED, Json(ResetRequested { message })))
}

/// Sets a password by the code that was mailed; all sessions of the account end.
#[utoipa::path(post, path = "/api/auth/password/reset/confirm", tag = "auth", request_body = ResetConfirmation,
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn confirm_reset(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<ResetConfirmation>,
) -> Result<StatusCode, Problem> {
    app.limits.check_guess(Guess::Code, ip, &body.login.trim().to_lowercase()).await?;
    app.accounts.confirm_reset(&body.login, &body.code, body.new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}
