//! `Idempotency-Key` on whatever changes something: the second request with a key is answered like the first.
//!
//! It is not put around booking paths: the queue itself knows their keys. Webhooks are left out: nothing is written before
//! their signature is checked.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use shared::shop::{KeptAnswer, KeyedRequest, Replay};
use tracing::Instrument as _;

use crate::app::App;
use crate::caller::{ClientIp, IdempotencyKey, MaybeCaller};
use crate::limits::is_webhook;
use crate::problem::{Code, Problem};

/// Bodies and answers that are larger have no use for a key.
const MAX_BYTES: usize = 256 * 1024;
/// Headers that belong to an answer's body.
const HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::SET_COOKIE];

/// Answers a request with a key that was answered before, and works on any other.
pub async fn replay(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let scope = match scope(&mut parts, &app).await {
        Ok(Some(scope)) => scope,
        Ok(None) => return next.run(Request::from_parts(parts, body)).await,
        Err(problem) => return problem.into_response(),
    };
    let Ok(body) = to_bytes(body, MAX_BYTES).await else {
        return Problem::new(Code::BodyTooLarge, "A body this large takes no idempotency key")
            .into_response();
    };
    let (who_and_where, key) = scope;
    let keyed = KeyedRequest::new(&who_and_where, &key, &body);
    match app.idempotency.begin(&keyed).await {
        Ok(Replay::New) => {}
        Ok(Replay::Answer(answer)) => return kept(answer),
        Ok(Replay::InProgress) => return Problem::plain(Code::InProgress).into_response(),
        Ok(Replay::Mismatch) => return Problem::plain(Code::IdempotencyMismatch).into_response(),
        Err(fault) => return Problem::from(fault).into_response(),
    }
    // Of its own, so that who hangs up, or has waited too long, finds the answer with their key.
    let work = async move {
        let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
        keep(&app, &keyed, answer).await
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(answer) => answer,
        // It is counted and told as every panic is.
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => Problem::plain(Code::Internal).into_response(),
    }
}

/// Who asks and where, and the key; `None` where keys have no meaning.
async fn scope(parts: &mut Parts, app: &App) -> Result<Option<(String, String)>, Problem> {
    if !matches!(parts.method, Method::POST | Method::PATCH | Method::PUT) {
        return Ok(None);
    }
    if is_webhook(&parts.uri) {
        return Ok(None);
    }
    let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, app).await?;
    let Some(key) = key else { return Ok(None) };
    let who = match MaybeCaller::from_request_parts(parts, app).await? {
        // What one key of a service was told is not for its other keys, which may permit less.
        MaybeCaller(Some(caller)) if caller.is_service() => {
            format!("user {} key {:?}", caller.user, caller.actor.session)
        }
        MaybeCaller(Some(caller)) => format!("user {}", caller.user),
        MaybeCaller(None) => format!("address {}", ClientIp::from_request_parts(parts, app).await?.0),
    };
    Ok(Some((format!("{who} {} {}", parts.method, parts.uri), key)))
}

fn kept(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

/// Keeps what had an effect. An answer that cannot be kept is sent all the same.
async fn keep(app: &App, keyed: &KeyedRequest, answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let (answer, body) = if parts.status.is_success() {
        match to_bytes(body, MAX_BYTES).await {
            Ok(bytes) => (Some(bytes.clone()), Body::from(bytes)),
            Err(_) => return Problem::plain(Code::Internal).into_response(),
        }
    } else {
        (None, body)
    };
    let answer = answer.map(|body: Bytes| KeptAnswer {
        status: parts.status.as_u16(),
        headers: HEADERS
            .iter()
            .flat_map(|name| parts.headers.get_all(name).iter().map(move |value| (name, value)))
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: body.to_vec(),
    });
    if let Err(fault) = app.idempotency.end(keyed, answer.as_ref()).await {
        tracing::warn!(
            error = shared::telemetry::chain(&fault),
            "an answer could not be kept for its idempotency key"
        );
    }
    Response::from_parts(parts, body)
}
