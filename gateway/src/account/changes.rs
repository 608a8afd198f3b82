//! `POST /api/account/changes` and `POST /api/account/changes/:id/confirm`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use shared::shop::accounts::{Change, SentCode};
use utoipa::ToSchema;
use uuid::Uuid;

use super::profile::Profile;
use crate::app::App;
use crate::caller::{Body, Path, Person};
use crate::problem::{Problem, ProblemBody};

/// What is changed by a code.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// The code goes to the new address.
    Email,
    /// The code goes to the new number.
    Phone,
    /// The code goes to the e-mail address.
    Login,
}

/// A field, and what becomes of it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChangeBody {
    field: Field,
    value: String,
    /// The password of now, of an account that has one.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// A code is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeSent {
    change_id: Uuid,
    /// `email` or `sms`.
    channel: &'static str,
    /// Ten minutes; five tries.
    expires_at: DateTime<Utc>,
}

/// The digits of a code.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CodeBody {
    /// Six digits.
    pub(super) code: String,
}

impl Field {
    fn to(self, value: String) -> Change {
        match self {
            Self::Email => Change::Email(value),
            Self::Phone => Change::Phone(value),
            Self::Login => Change::Login(value),
        }
    }
}

/// Sends the code that a change of e-mail address, phone or login takes.
#[utoipa::path(post, path = "/api/account/changes", tag = "account", request_body = ChangeBody,
    responses((status = 202, body = ChangeSent), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn request_change(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<ChangeBody>,
) -> Result<(StatusCode, Json<ChangeSent>), Problem> {
    app.limits.check_own_code(caller.user).await?;
    let change = body.field.to(body.value);
    let sent = app.accounts.request_change(caller.user, change, body.password).await?;
    let SentCode { id, channel, expires_at } = sent;
    tracing::info!(user.id = caller.user.0, code.id = %id, "a code for a change is on its way");
    Ok((StatusCode::ACCEPTED, Json(ChangeSent { change_id: id, channel, expires_at })))
}

/// Makes the change whose code has arrived.
#[utoipa::path(post, path = "/api/account/changes/{id}/confirm", tag = "account", request_body = CodeBody,
    params(("id" = Uuid, Path, description = "The change")),
    responses((status = 200, body = Profile), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn confirm_change(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<Uuid>,
    Body(body): Body<CodeBody>,
) -> Result<Json<Profile>, Problem> {
    app.limits.check_own_code(caller.user).await?;
    let who = (caller.user, caller.actor.session);
    Ok(Json(app.accounts.confirm_change(who, id, &body.code).await?.into()))
}
