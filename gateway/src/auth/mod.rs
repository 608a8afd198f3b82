//! Accounts from outside: register, log in, stay logged in, log out, and get back in without the password.

pub mod credentials;
mod login;
mod logout;
mod me;
mod refresh;
mod register;
mod reset;

pub(crate) use login::note_guess;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::auth::Role;
use shared::domain::UserId;
use shared::shop::accounts;
use shared::store::UserRecord;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::COOKIE;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register::register_user))
        .routes(routes!(login::log_in))
        .routes(routes!(refresh::refresh_session))
        .routes(routes!(logout::log_out))
        .routes(routes!(logout::log_out_everywhere))
        .routes(routes!(me::show_me))
        .routes(routes!(reset::request_reset))
        .routes(routes!(reset::confirm_reset))
}

/// A new session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// For `POST /api/auth/refresh`, once.
    pub refresh_token: String,
    /// Seconds that the access token is good for.
    pub expires_in: u64,
    /// Whose it is.
    pub user: Me,
}

/// Somebody, to themselves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// Their id.
    pub user_id: UserId,
    /// Lower case.
    pub email: String,
    /// As given.
    pub first_name: String,
    /// As given.
    pub last_name: String,
    /// What they may do.
    pub role: Role,
}

impl From<UserRecord> for Me {
    fn from(user: UserRecord) -> Self {
        Self {
            user_id: user.id,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            role: user.role,
        }
    }
}

impl From<accounts::Session> for Session {
    fn from(session: accounts::Session) -> Self {
        let accounts::Session { access_token, refresh_token, expires_in, user } = session;
        Self { access_token, refresh_token, expires_in, user: user.into() }
    }
}

/// A new session as answer: tokens in the body, and the cookie that browsers keep.
pub fn session_answer(app: &App, session: accounts::Session) -> Response {
    let cookie = cookie(app, &session.access_token, session.expires_in);
    ([(header::SET_COOKIE, cookie)], Json(Session::from(session))).into_response()
}

/// The cookie of a browser's log-in; with no seconds it goes.
pub fn cookie(app: &App, token: &str, seconds: u64) -> HeaderValue {
    let secure = if app.config.cookie_secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
