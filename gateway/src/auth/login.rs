//! `POST /api/auth/login`

use axum::extract::State;
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Session, open_session};
use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::problem::{Code, Problem, ProblemBody};

/// Who logs in.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Credentials {
    /// E-mail address or login name.
    #[serde(alias = "email")]
    login: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Opens a session.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = Credentials,
    responses((status = 200, body = Session), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn log_in(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<Credentials>,
) -> Result<Response, Problem> {
    app.limits.check_login(ip)?;
    let user = app.store.user_by_login(&body.login.trim().to_lowercase()).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let is_right = app.passwords.verify(body.password, hash).await?;
    let user = user.filter(|_| is_right).ok_or_else(|| Problem::plain(Code::BadCredentials))?;
    tracing::info!(user.id = user.id.0, "logged in");
    open_session(&app, user).await
}
