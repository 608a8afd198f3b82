//! `POST /api/auth/logout` and `logout-everywhere`

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::cookie;
use crate::app::App;
use crate::caller::Person;
use crate::problem::{Problem, ProblemBody};

/// Ends the log-in that the caller's token follows from, with its access and refresh tokens; others go on.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth",
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn log_out(State(app): State<App>, Person(caller): Person) -> Result<Response, Problem> {
    app.limits.check_write(caller.user)?;
    app.accounts.log_out(caller.user, caller.actor.session).await?;
    tracing::info!(user.id = caller.user.0, "logged out");
    Ok(logged_out(&app))
}

/// Ends all sessions of the caller on every device, access tokens too, within a second.
#[utoipa::path(post, path = "/api/auth/logout-everywhere", tag = "auth",
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn log_out_everywhere(State(app): State<App>, Person(caller): Person) -> Result<Response, Problem> {
    app.limits.check_write(caller.user)?;
    app.accounts.log_out_everywhere(caller.user).await?;
    tracing::info!(user.id = caller.user.0, "logged out everywhere");
    Ok(logged_out(&app))
}

fn logged_out(app: &App) -> Response {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(app, "", 0))]).into_response()
}
