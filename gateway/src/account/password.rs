//! `POST /api/account/password`

use axum::extract::State;
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{Session, session_answer};
use crate::caller::{Body, Person};
use crate::problem::{Problem, ProblemBody};

/// The password of now and the next one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordBody {
    #[serde(alias = "current_password")]
    #[schema(value_type = String, format = Password)]
    current_password: SecretString,
    #[serde(alias = "new_password")]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    new_password: SecretString,
}

/// Replaces the password. All sessions end; the answer is a new one for this device.
#[utoipa::path(post, path = "/api/account/password", tag = "account", request_body = PasswordBody,
    responses((status = 200, body = Session), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn change_password(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<PasswordBody>,
) -> Result<Response, Problem> {
    app.limits.check_own_code(caller.user).await?;
    let who = (caller.user, caller.actor.has_second_factor);
    let session = app.accounts.change_password(who, body.current_password, body.new_password).await?;
    Ok(session_answer(&app, session))
}
