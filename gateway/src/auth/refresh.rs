//! `POST /api/auth/refresh`

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use shared::auth::refresh_token_hash;
use utoipa::ToSchema;

use super::{Session, open_session};
use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::problem::{Code, Problem, ProblemBody};

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refresh {
    #[serde(alias = "refresh_token")]
    refresh_token: String,
}

/// Opens the next session; each refresh token works once.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Session), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn refresh_session(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<Refresh>,
) -> Result<Response, Problem> {
    app.limits.check_login(ip)?;
    let refused = || Problem::new(Code::Unauthenticated, "This refresh token is no good; log in again");
    let hash = refresh_token_hash(&body.refresh_token);
    let id = app.store.take_refresh_token(&hash).await?.ok_or_else(refused)?;
    let user = app.store.user(id).await?.ok_or_else(refused)?;
    open_session(&app, user).await
}
