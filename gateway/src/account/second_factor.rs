//! `POST /api/account/second-factor`, `POST …/confirm`, `POST …/disable`

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Session, cookie};
use crate::caller::{Body, Person};
use crate::problem::{Problem, ProblemBody};

/// The password of now.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SecondFactorWanted {
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// What an authenticator app needs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorBegun {
    /// Base 32, to be typed in.
    secret: String,
    /// The same as a link, for a QR code.
    link: String,
}

/// An authenticator's digits, or a recovery code.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SecondFactorBody {
    code: String,
}

/// A second factor is in use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactorConfirmed {
    /// Each logs in once where the authenticator is lost; told this once.
    recovery_codes: Vec<String>,
    /// Those of before have ended.
    session: Session,
}

/// Begins a second factor, for operators and admins who show that they know their password.
#[utoipa::path(post, path = "/api/account/second-factor", tag = "account", request_body = SecondFactorWanted,
    responses((status = 200, body = SecondFactorBegun), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn begin_second_factor(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<SecondFactorWanted>,
) -> Result<Json<SecondFactorBegun>, Problem> {
    app.limits.check_own_code(caller.user).await?;
    let begun = app.accounts.begin_second_factor(caller.user, body.password).await?;
    Ok(Json(SecondFactorBegun { secret: begun.secret, link: begun.link }))
}

/// Takes the second factor into use, by its digits. All sessions of before end.
#[utoipa::path(post, path = "/api/account/second-factor/confirm", tag = "account", request_body = SecondFactorBody,
    responses((status = 200, body = SecondFactorConfirmed), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn confirm_second_factor(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<SecondFactorBody>,
) -> Result<Response, Problem> {
    app.limits.check_own_code(caller.user).await?;
    let (recovery_codes, session) = app.accounts.confirm_second_factor(caller.user, &body.code).await?;
    let cookie = cookie(&app, &session.access_token, session.expires_in);
    let confirmed = SecondFactorConfirmed { recovery_codes, session: session.into() };
    Ok(([(header::SET_COOKIE, cookie)], Json(confirmed)).into_response())
}

/// Takes the second factor out of use, by its digits or a recovery code.
#[utoipa::path(post, path = "/api/account/second-factor/disable", tag = "account", request_body = SecondFactorBody,
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn disable_second_factor(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<SecondFactorBody>,
) -> Result<StatusCode, Problem> {
    app.limits.check_own_code(caller.user).await?;
    app.accounts.disable_second_factor(caller.user, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}
