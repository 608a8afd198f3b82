//! `GET /api/account` and `PATCH /api/account`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::auth::Role;
use shared::domain::UserId;
use shared::shop::accounts::ProfileEdit;
use shared::store::ProfileRecord;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp, Person};
use crate::problem::{Code, Problem, ProblemBody};

/// Somebody, to themselves, with all they gave when registering.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    user_id: UserId,
    email: String,
    /// A code that went there has come back.
    email_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    first_name: String,
    last_name: String,
    /// `en`, `uk` or `ru`.
    language: String,
    /// SMS about bookings and orders go to the phone number, if there is one.
    sms_updates: bool,
    role: Role,
    /// When they agreed to the processing of their data, and to which text.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_version: Option<String>,
    created_at: DateTime<Utc>,
    /// A second factor is in use.
    second_factor: bool,
}

impl From<ProfileRecord> for Profile {
    fn from(record: ProfileRecord) -> Self {
        Self {
            user_id: record.id,
            email: record.email,
            email_verified: record.is_email_verified,
            login: record.login,
            phone: record.phone,
            first_name: record.first_name,
            last_name: record.last_name,
            language: record.language,
            sms_updates: record.has_sms_updates,
            role: record.role,
            consent_at: record.consent_at,
            consent_version: record.consent_version,
            created_at: record.created_at,
            second_factor: record.has_second_factor,
        }
    }
}

/// What changes; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileBody {
    #[serde(alias = "first_name")]
    first_name: Option<String>,
    #[serde(alias = "last_name")]
    last_name: Option<String>,
    /// `en`, `uk` or `ru`.
    language: Option<String>,
    /// Whether SMS about bookings and orders go to the phone number.
    #[serde(alias = "sms_updates")]
    sms_updates: Option<bool>,
    /// Not here: `POST /api/account/changes`.
    #[schema(value_type = Option<String>)]
    email: Option<serde_json::Value>,
    /// Not here: `POST /api/account/changes`.
    #[schema(value_type = Option<String>)]
    phone: Option<serde_json::Value>,
    /// Not here: `POST /api/account/changes`.
    #[schema(value_type = Option<String>)]
    login: Option<serde_json::Value>,
}

/// The caller's account.
#[utoipa::path(get, path = "/api/account", tag = "account",
    responses((status = 200, body = Profile), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_account(
    State(app): State<App>,
    Person(caller): Person,
    ClientIp(ip): ClientIp,
) -> Result<Json<Profile>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Json(app.accounts.profile(caller.user).await?.into()))
}

/// Changes names, language, and whether SMS are sent; e-mail address, phone and login take a code.
#[utoipa::path(patch, path = "/api/account", tag = "account", request_body = ProfileBody,
    responses((status = 200, body = Profile), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn edit_account(
    State(app): State<App>,
    Person(caller): Person,
    Body(body): Body<ProfileBody>,
) -> Result<Json<Profile>, Problem> {
    app.limits.check_write(caller.user)?;
    if body.email.is_some() || body.phone.is_some() || body.login.is_some() {
        let detail = "email, phone and login change by a code: POST /api/account/changes";
        return Err(Problem::new(Code::Validation, detail));
    }
    let edit = ProfileEdit {
        first_name: body.first_name,
        last_name: body.last_name,
        language: body.language,
        has_sms_updates: body.sms_updates,
    };
    Ok(Json(app.accounts.edit_profile(caller.user, &edit).await?.into()))
}
