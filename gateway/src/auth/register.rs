//! `POST /api/auth/register`

use axum::Json;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use shared::auth::Role;
use shared::domain::UserId;
use shared::seen::{self, Activity};
use shared::store::NewUser;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::problem::{Code, Problem, ProblemBody};

/// The text that people agree to; its version is kept with their consent.
const CONSENT_VERSION: &str = "2026-11";
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=128;
const TEXT: std::ops::RangeInclusive<usize> = 1..=100;

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

/// Registers a shopper.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = Registration,
    responses((status = 201, body = Registered), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn register_user(
    axum::extract::State(app): axum::extract::State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<Registration>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    app.limits.check_login(ip)?;
    let (mut user, password) = parse(body)?;
    user.password_hash = app.passwords.hash(password).await?;
    let id = app.store.insert_user(&user).await.map_err(|error| match error.constraint() {
        Some("users_email_key") => taken("e-mail address"),
        Some("users_login_key") => taken("login"),
        Some("users_phone_key") => taken("phone number"),
        _ => error.into(),
    })?;
    seen::activity(Activity::Registration, 1);
    tracing::info!(user.id = id.0, "shopper registered");
    let registered = Registered { user_id: id, email: user.email, role: Role::Shopper };
    Ok((StatusCode::CREATED, Json(registered)))
}

fn taken(what: &str) -> Problem {
    Problem::new(Code::AlreadyRegistered, format!("Somebody has registered with this {what} already"))
}

fn parse(body: Registration) -> Result<(NewUser, SecretString), Problem> {
    use secrecy::ExposeSecret as _;
    let refuse = |detail: &str| Err(Problem::new(Code::Validation, detail));
    let text = |value: &str, name: &str| {
        let value = value.trim().to_owned();
        let is_good = TEXT.contains(&value.chars().count()) && !value.chars().any(char::is_control);
        if is_good {
            Ok(value)
        } else {
            Err(Problem::new(Code::Validation, format!("{name} must be 1 to 100 characters")))
        }
    };
    if !body.consent {
        return refuse("consent to the processing of personal data is needed");
    }
    if !PASSWORD.contains(&body.password.expose_secret().chars().count()) {
        return refuse("password must be 8 to 128 characters");
    }
    let email = text(&body.email, "email")?.to_lowercase();
    let is_email = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    });
    if !is_email || email.contains(char::is_whitespace) {
        return refuse("email is not an e-mail address");
    }
    let optional = |value: &Option<String>, name: &str| {
        value.as_deref().filter(|value| !value.trim().is_empty()).map(|value| text(value, name)).transpose()
    };
    let login = optional(&body.login, "login")?.map(|login| login.to_lowercase());
    if login.as_deref().is_some_and(|login| login.contains('@')) {
        return refuse("login must not contain @, so that it is never taken for an e-mail address");
    }
    let user = NewUser {
        email,
        login,
        phone: optional(&body.phone, "phone")?,
        first_name: text(&body.first_name, "firstName")?,
        last_name: text(&body.last_name, "lastName")?,
        password_hash: String::new(),
        consent_version: CONSENT_VERSION.to_owned(),
    };
    Ok((user, body.password))
}
