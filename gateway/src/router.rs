//! Every path.

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::problem::{Code, Problem};
use crate::{auth, bookings, cart, events, idempotency, operations, probes, seats, web, ws};

/// Bodies larger than this are refused; the largest that makes sense has twenty seat ids.
const MAX_BODY: usize = 16 * 1024;
/// A request that takes longer is given up. Every store call has a shorter time-out of its own.
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(OpenApi)]
#[openapi(info(
    title = "Usher",
    description = "Tickets for shows that everyone wants at the same moment: a fair line, seats held in a cart, live places.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Document;

/// The OpenAPI document and the routes it describes.
///
/// Polls come first: they outnumber all else and are answered from memory, so nothing is put around them.
pub fn api() -> (Router<App>, Router<App>, utoipa::openapi::OpenApi) {
    let mut document = Document::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    let (polls, poll_document) = bookings::polls().split_for_parts();
    let (api, mut document) = OpenApiRouter::with_openapi(document)
        .merge(auth::router())
        .merge(events::router())
        .merge(seats::router())
        .merge(bookings::router())
        .merge(cart::router())
        .merge(operations::router())
        .merge(probes::router())
        .split_for_parts();
    document.merge(poll_document);
    (polls, api, document)
}

/// All paths, with what surrounds them.
pub fn router(app: App) -> Router {
    let (polls, api, document) = api();
    let around = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let rest = api
        .layer(from_fn_with_state(app.clone(), idempotency::replay))
        .route("/ws", get(ws::open_socket))
        .merge(web::router(&app))
        .merge(SwaggerUi::new("/docs").url("/api/openapi.json", document))
        .layer(around);
    polls.merge(rest).fallback(not_found).method_not_allowed_fallback(method_not_allowed).with_state(app)
}

async fn not_found(request: Request<axum::body::Body>) -> Problem {
    Problem::new(Code::NotFound, format!("There is nothing at {}", request.uri().path()))
}

async fn method_not_allowed() -> Problem {
    Problem::plain(Code::MethodNotAllowed)
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::plain(Code::Internal).into_response()
}
