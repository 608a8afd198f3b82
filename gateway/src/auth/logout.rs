//! `POST /api/auth/logout`

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::cookie;
use crate::app::App;
use crate::caller::Caller;
use crate::problem::{Problem, ProblemBody};

/// Ends all sessions of the caller; an access token that is out lives on until it expires.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth",
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn log_out(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    app.store.delete_refresh_tokens(caller.user).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&app, "", 0))]).into_response())
}
