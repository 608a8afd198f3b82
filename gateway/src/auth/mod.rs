//! Accounts: register, log in, stay logged in, log out.

mod login;
mod logout;
mod me;
mod refresh;
mod register;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde::Serialize;
use shared::auth::{Role, new_refresh_token};
use shared::domain::UserId;
use shared::store::UserRecord;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::caller::COOKIE;
use crate::problem::Problem;

/// How long a refresh token is good for.
const REFRESH_DAYS: i64 = 30;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register::register_user))
        .routes(routes!(login::log_in))
        .routes(routes!(refresh::refresh_session))
        .routes(routes!(logout::log_out))
        .routes(routes!(me::show_me))
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

/// A new session as answer: tokens in the body, and the cookie that browsers keep.
async fn open_session(app: &App, user: UserRecord) -> Result<Response, Problem> {
    let (refresh_token, hash) = new_refresh_token();
    let expires_at = Utc::now() + chrono::Duration::days(REFRESH_DAYS);
    app.store.insert_refresh_token(user.id, &hash, expires_at).await?;
    let access_token = app.tokens.sign(user.id, user.role)?;
    let cookie = cookie(app, &access_token, app.tokens.seconds());
    let session =
        Session { access_token, refresh_token, expires_in: app.tokens.seconds(), user: user.into() };
    Ok(([(header::SET_COOKIE, cookie)], Json(session)).into_response())
}

fn cookie(app: &App, token: &str, seconds: u64) -> HeaderValue {
    let secure = if app.config.cookie_secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
