//! For payers: a page on which a payment is chosen. It has no field at all, so no card number can be typed into it.

mod html;
mod words;

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Router};
use serde::Deserialize;

use crate::server::App;
use crate::session::{Choice, Session};

/// The paths.
pub fn router(app: App) -> Router {
    Router::new().route("/pay/{id}", get(show_page).post(choose)).with_state(app)
}

async fn show_page(State(app): State<App>, Path(id): Path<String>) -> Response {
    let session = app.book.lock().get(&id).cloned();
    match session {
        Some(session) => page(StatusCode::OK, &session),
        None => unknown(),
    }
}

#[derive(Deserialize)]
struct Chosen {
    choice: Choice,
}

async fn choose(State(app): State<App>, Path(id): Path<String>, Form(chosen): Form<Chosen>) -> Response {
    let (session, ended) = {
        let mut book = app.book.lock();
        let Some(session) = book.get_mut(&id) else { return unknown() };
        let ended = session.choose(chosen.choice);
        (session.clone(), ended)
    };
    match ended {
        Ok(true) => {
            tracing::info!(session.id = id, status = ?session.status, "a payer has chosen");
            app.tell(&session);
            Redirect::to(&session.new.return_url).into_response()
        }
        Ok(false) => Redirect::to(&session.new.cancel_url).into_response(),
        // Clicked twice, or in two tabs: the page says how it stands.
        Err(_) => page(StatusCode::CONFLICT, &session),
    }
}

fn unknown() -> Response {
    guarded((StatusCode::NOT_FOUND, Html(html::unknown())).into_response(), "'none'")
}

fn page(status: StatusCode, session: &Session) -> Response {
    // A form's target must also be allowed where it redirects to.
    let origins = [&session.new.return_url, &session.new.cancel_url].map(|url| origin(url));
    let targets = format!("'self' {} {}", origins[0], origins[1]);
    guarded((status, Html(html::session(session))).into_response(), &targets)
}

fn origin(url: &str) -> String {
    reqwest::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

fn guarded(mut response: Response, form_targets: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action {form_targets}"
    );
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::CACHE_CONTROL, "no-store"),
        // The page's address is the right to pay.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = response.headers_mut();
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
