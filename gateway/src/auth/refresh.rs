//! `POST /api/auth/refresh`

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Session, session_answer};
use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::problem::{Problem, ProblemBody};

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Refresh {
    #[serde(alias = "refresh_token")]
    refresh_token: String,
}

/// Opens the next session; each refresh token works once. For ten seconds it gives the same next one again, in case the answer
/// was lost, unless that next one was used already. One that comes after that was copied: its log-in ends.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, body = Session), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn refresh_session(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<Refresh>,
) -> Result<Response, Problem> {
    app.limits.check_refresh(ip)?;
    Ok(session_answer(&app, app.accounts.refresh(&body.refresh_token).await?))
}
