//! `POST /api/auth/register`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use shared::auth::Role;
use shared::domain::UserId;
use shared::seen::{self, Activity};
use shared::shop::accounts::NewPerson;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::problem::{Problem, ProblemBody};

/// Somebody who registers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    email: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: SecretString,
    #[serde(alias = "first_name")]
    first_name: String,
    #[serde(alias = "last_name")]
    last_name: String,
    login: Option<String>,
    phone: Option<String>,
    /// The language of messages: `en` (if absent), `uk` or `ru`.
    language: Option<String>,
    /// Agrees to the processing of personal data; must be true.
    consent: bool,
}

/// Somebody who has registered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    user_id: UserId,
    email: String,
    role: Role,
}

impl From<Registration> for NewPerson {
    fn from(body: Registration) -> Self {
        Self {
            email: body.email,
            password: body.password,
            first_name: body.first_name,
            last_name: body.last_name,
            login: body.login,
            phone: body.phone,
            language: body.language,
            has_consented: body.consent,
        }
    }
}

/// Registers a shopper.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = Registration,
    responses((status = 201, body = Registered), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn register_user(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<Registration>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    app.limits.check_login(ip)?;
    let (user_id, email) = app.accounts.register(body.into()).await?;
    seen::activity(Activity::Registration, 1);
    tracing::info!(user.id = user_id.0, "shopper registered");
    Ok((StatusCode::CREATED, Json(Registered { user_id, email, role: Role::Shopper })))
}
