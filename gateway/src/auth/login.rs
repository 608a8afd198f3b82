//! `POST /api/auth/login`

use std::net::IpAddr;

use axum::extract::State;
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;
use shared::auth::Role;
use shared::seen::{self, Activity};
use shared::store::{NewAudit, UserRecord};
use utoipa::ToSchema;

use super::{Session, open_session};
use crate::app::App;
use crate::caller::{Body, ClientIp};
use crate::limits::Guess;
use crate::problem::{Code, Problem, ProblemBody};

/// Who logs in.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Credentials {
    /// E-mail address or login name.
    #[serde(alias = "email")]
    login: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Opens a session.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = Credentials,
    responses((status = 200, body = Session), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn log_in(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Body(body): Body<Credentials>,
) -> Result<Response, Problem> {
    let login = body.login.trim().to_lowercase();
    app.limits.check_guess(Guess::Login, ip, &login).await?;
    let user = app.store.user_by_login(&login).await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.clone());
    let is_right = app.passwords.verify(body.password, hash).await?;
    note_login(ip, user.as_ref(), is_right);
    let user = user.filter(|_| is_right).ok_or_else(|| Problem::plain(Code::BadCredentials))?;
    tracing::info!(user.id = user.id.0, "logged in");
    open_session(&app, user).await
}

/// Counts a log-in; those that failed, and those of whoever may do more than buy, go into the audit log.
pub(super) fn note_login(ip: IpAddr, user: Option<&UserRecord>, is_right: bool) {
    if is_right {
        seen::activity(Activity::Login, 1);
    }
    if !is_right || user.is_some_and(|user| user.role != Role::Shopper) {
        seen::audit(NewAudit {
            ip: Some(ip),
            user: user.map(|user| user.id),
            action: "auth.login",
            object: user.map_or_else(|| "no such account".to_owned(), |user| format!("user {}", user.id)),
            result: if is_right { "done" } else { Code::BadCredentials.word() },
        });
    }
}
