//! `POST /api/auth/login`

use std::net::IpAddr;

use axum::extract::State;
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;
use shared::auth::Role;
use shared::domain::UserId;
use shared::seen::{self, Activity};
use shared::shop::AccountError;
use shared::shop::accounts::LogIn;
use shared::store::NewAudit;
use utoipa::ToSchema;

use super::{Session, session_answer};
use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::limits::Guess;
use crate::problem::{Code, Problem, ProblemBody};

/// Who logs in.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LogInBody {
    /// E-mail address or login name.
    #[serde(alias = "email")]
    login: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// The authenticator's six digits or a recovery code, where a second factor is in use.
    code: Option<String>,
}

/// Opens a session.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = LogInBody,
    responses((status = 200, body = Session), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn log_in(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<LogInBody>,
) -> Result<Response, Problem> {
    app.limits.check_guess(Guess::Login, ip, &body.login.trim().to_lowercase()).await?;
    let who = LogIn { login: body.login, password: body.password, code: body.code };
    let session = app.accounts.log_in(who).await.inspect_err(|error| note_guess(ip, error))?;
    note_login(ip, Some((session.user.id, session.user.role)), true);
    tracing::info!(user.id = session.user.id.0, "logged in");
    Ok(session_answer(&app, session))
}

/// Puts a password, or a second factor, that was wrong into the audit log.
pub(crate) fn note_guess(ip: IpAddr, error: &AccountError) {
    if matches!(error, AccountError::BadCredentials | AccountError::BadSecondFactor) {
        note_login(ip, None, false);
    }
}

/// Counts a log-in; those that failed, and those of whoever may do more than buy, go into the audit log.
pub(super) fn note_login(ip: IpAddr, user: Option<(UserId, Role)>, is_right: bool) {
    if is_right {
        seen::activity(Activity::Login, 1);
    }
    if !is_right || user.is_some_and(|(_, role)| role != Role::Shopper) {
        seen::audit(NewAudit {
            ip: Some(ip),
            user: user.map(|(id, _)| id),
            action: "auth.login",
            object: user.map_or_else(|| "an account".to_owned(), |(id, _)| format!("user {id}")),
            result: if is_right { "done" } else { Code::BadCredentials.word() },
        });
    }
}
