//! `GET /api/auth/me`

use axum::Json;
use axum::extract::State;

use super::Me;
use crate::app::App;
use crate::caller::{Caller, ClientIp};
use crate::problem::{Code, Problem, ProblemBody};

/// Who the caller is.
#[utoipa::path(get, path = "/api/auth/me", tag = "auth",
    responses((status = 200, body = Me), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_me(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<Json<Me>, Problem> {
    app.limits.check_read(ip)?;
    let user = app.store.user(caller.user).await?.ok_or_else(|| Problem::plain(Code::Unauthenticated))?;
    Ok(Json(user.into()))
}
