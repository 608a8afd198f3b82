//! For shops: JSON, with a key.

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::book::read_cursor;
use crate::fault::{Effect, Fault, Point};
use crate::meter::Calls;
use crate::server::App;
use crate::session::{NewSession, Refusal, Session};

/// Characters that an idempotency key may have.
const MAX_KEY: usize = 200;

/// The paths.
pub fn router(app: App) -> Router {
    let counted: Router<App> = Router::new()
        .route("/v1/sessions", post(create_session).get(list_sessions))
        .route("/v1/sessions/{id}", get(show_session))
        .route("/v1/sessions/{id}/expire", post(expire_session))
        .route("/v1/sessions/{id}/capture", post(capture_session))
        .route("/v1/sessions/{id}/refunds", post(refund_session))
        .route_layer(middleware::from_fn_with_state(app.clone(), count_call));
    Router::new()
        .merge(counted)
        .route("/faults", post(order_fault).get(list_faults).delete(clear_faults))
        .route("/calls", get(show_calls).delete(forget_calls))
        .route_layer(middleware::from_fn_with_state(app.clone(), check_key))
        .route("/health", get(async || StatusCode::OK))
        .with_state(app)
}

/// Why a call is refused.
enum ApiError {
    Key,
    Unknown,
    Wrong(&'static str),
    Refused(Refusal),
    Ordered(StatusCode),
    Full,
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, word) = match self {
            Self::Key => (StatusCode::UNAUTHORIZED, "wrong_key".to_owned()),
            Self::Unknown => (StatusCode::NOT_FOUND, "unknown".to_owned()),
            Self::Wrong(word) => (StatusCode::UNPROCESSABLE_ENTITY, word.to_owned()),
            Self::Refused(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string()),
            Self::Ordered(status) => (status, "ordered".to_owned()),
            Self::Full => (StatusCode::TOO_MANY_REQUESTS, "too_many_faults".to_owned()),
        };
        (status, Json(json!({ "error": word }))).into_response()
    }
}

async fn check_key(State(app): State<App>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_good = shown.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|key| app.is_key(key));
    if is_good { next.run(request).await } else { ApiError::Key.into_response() }
}

async fn count_call(State(app): State<App>, request: Request, next: Next) -> Response {
    app.meter.count();
    next.run(request).await
}

/// Does what was asked for, unless it was ordered to go wrong.
async fn carefully<T: Serialize>(
    app: &App,
    effects: &[Effect],
    work: impl FnOnce() -> Result<T, ApiError> + Send,
) -> Result<Json<T>, ApiError> {
    for effect in effects {
        match *effect {
            Effect::Delay { ms } => app.pause(ms).await,
            Effect::Status { status, done } => {
                if done {
                    let _ = work();
                }
                return Err(ApiError::Ordered(StatusCode::from_u16(status).unwrap_or_default()));
            }
            Effect::Hang { ms, done } => {
                if done {
                    let _ = work();
                }
                app.pause(ms).await;
                return Err(ApiError::Ordered(StatusCode::GATEWAY_TIMEOUT));
            }
            Effect::Pending { .. }
            | Effect::LateSuccess { .. }
            | Effect::Duplicate
            | Effect::Reorder { .. }
            | Effect::Lose
            | Effect::Chargeback { .. } => {}
        }
    }
    work().map(Json)
}

/// Changes a session and shows it; `true` from the change tells the shop.
fn change(
    app: &App,
    id: &str,
    work: impl FnOnce(&mut Session) -> Result<bool, Refusal>,
) -> Result<crate::session::Shown, ApiError> {
    let (session, is_new) = {
        let mut book = app.book.lock();
        let session = book.get_mut(id).ok_or(ApiError::Unknown)?;
        let is_new = work(session)?;
        (session.clone(), is_new)
    };
    if is_new {
        app.tell(&session);
    }
    Ok(session.show(&app.base))
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.filter(|key| (1..=MAX_KEY).contains(&key.len()));
    key.map(str::to_owned).ok_or(ApiError::Wrong("idempotency_key"))
}

async fn create_session(
    State(app): State<App>,
    headers: HeaderMap,
    Json(new): Json<NewSession>,
) -> Result<impl IntoResponse, ApiError> {
    let key = idempotency_key(&headers)?;
    let effects = app.faults.strike(Point::Create, None);
    carefully(&app, &effects, || {
        if let Some(fault) = new.fault() {
            return Err(ApiError::Wrong(fault));
        }
        let session = app.book.lock().open(&key, new)?;
        tracing::info!(session.id = session.id, "a session was opened");
        Ok(session.show(&app.base))
    })
    .await
}

async fn show_session(State(app): State<App>, Path(id): Path<String>) -> Result<impl IntoResponse, ApiError> {
    let effects = app.faults.strike(Point::Query, Some(&id));
    carefully(&app, &effects, || {
        let book = app.book.lock();
        book.get(&id).map(|session| session.show(&app.base)).ok_or(ApiError::Unknown)
    })
    .await
}

#[derive(Deserialize)]
struct Span {
    #[serde(default)]
    from_ms: u64,
    to_ms: Option<u64>,
    cursor: Option<String>,
}

async fn list_sessions(
    State(app): State<App>,
    Query(span): Query<Span>,
) -> Result<impl IntoResponse, ApiError> {
    let effects = app.faults.strike(Point::List, None);
    carefully(&app, &effects, || {
        let cursor = span.cursor.as_deref().map(|text| read_cursor(text).ok_or(ApiError::Wrong("cursor")));
        let book = app.book.lock();
        let (page, next) = book.list(span.from_ms, span.to_ms.unwrap_or(u64::MAX), cursor.transpose()?);
        let sessions: Vec<_> = page.into_iter().map(|session| session.show(&app.base)).collect();
        Ok(json!({ "sessions": sessions, "next_cursor": next }))
    })
    .await
}

async fn expire_session(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let effects = app.faults.strike(Point::Expire, Some(&id));
    let late = effects.iter().find_map(|effect| match effect {
        Effect::LateSuccess { ms } => Some(*ms),
        Effect::Delay { .. }
        | Effect::Status { .. }
        | Effect::Hang { .. }
        | Effect::Pending { .. }
        | Effect::Duplicate
        | Effect::Reorder { .. }
        | Effect::Lose
        | Effect::Chargeback { .. } => None,
    });
    carefully(&app, &effects, || {
        let shown = change(&app, &id, |session| Ok(session.expire()))?;
        if let Some(ms) = late {
            app.later(id.clone(), ms, Session::succeed_late);
        }
        Ok(shown)
    })
    .await
}

#[derive(Deserialize)]
struct NewCapture {
    amount: i64,
}

async fn capture_session(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(new): Json<NewCapture>,
) -> Result<impl IntoResponse, ApiError> {
    let effects = app.faults.strike(Point::Capture, Some(&id));
    carefully(&app, &effects, || change(&app, &id, |session| session.capture(new.amount))).await
}

#[derive(Deserialize)]
struct NewRefund {
    amount: i64,
}

async fn refund_session(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NewRefund>,
) -> Result<impl IntoResponse, ApiError> {
    let key = idempotency_key(&headers)?;
    let effects = app.faults.strike(Point::Refund, Some(&id));
    carefully(&app, &effects, || refund(&app, &id, (&key, new.amount), &effects)).await
}

fn refund(
    app: &App,
    id: &str,
    (key, amount): (&str, i64),
    effects: &[Effect],
) -> Result<crate::session::Refund, ApiError> {
    let pending = effects.iter().find_map(|effect| match effect {
        Effect::Pending { ms } => Some(*ms),
        Effect::Delay { .. }
        | Effect::Status { .. }
        | Effect::Hang { .. }
        | Effect::LateSuccess { .. }
        | Effect::Duplicate
        | Effect::Reorder { .. }
        | Effect::Lose
        | Effect::Chargeback { .. } => None,
    });
    let (session, refund, is_new) = {
        let mut book = app.book.lock();
        let session = book.get_mut(id).ok_or(ApiError::Unknown)?;
        let (at, is_new) = session.refund(key, amount, pending.is_some())?;
        (session.clone(), session.refunds[at].clone(), is_new)
    };
    if is_new {
        match pending {
            None if refund.status == crate::session::RefundStatus::Released => app.tell(&session),
            None => app.tell_as(&session, "refund.succeeded"),
            Some(Some(ms)) => app.finish_refund_later(id.to_owned(), refund.id.clone(), ms),
            Some(None) => {}
        }
    }
    Ok(refund)
}

/// Orders a fault. A chargeback or a late success of a session that is already there happens at once.
async fn order_fault(
    State(app): State<App>,
    Json(fault): Json<Fault>,
) -> Result<impl IntoResponse, ApiError> {
    if let Some(wrong) = fault.fault() {
        return Err(ApiError::Wrong(wrong));
    }
    let status = match &fault.session {
        Some(id) => Some(app.book.lock().get(id).ok_or(ApiError::Unknown)?.status),
        None => None,
    };
    match (fault.effect, fault.session.clone(), status) {
        (Effect::Chargeback { ms }, Some(id), Some(crate::session::Status::Captured)) => {
            app.later(id, ms, Session::charge_back);
        }
        (Effect::LateSuccess { ms }, Some(id), Some(crate::session::Status::Expired)) => {
            app.later(id, ms, Session::succeed_late);
        }
        _ => {
            if !app.faults.order(fault) {
                return Err(ApiError::Full);
            }
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn list_faults(State(app): State<App>) -> Json<Vec<Fault>> {
    Json(app.faults.list())
}

async fn clear_faults(State(app): State<App>) -> StatusCode {
    app.faults.clear();
    StatusCode::NO_CONTENT
}

async fn show_calls(State(app): State<App>) -> Json<Calls> {
    Json(app.meter.calls())
}

async fn forget_calls(State(app): State<App>) -> StatusCode {
    app.meter.forget();
    StatusCode::NO_CONTENT
}
