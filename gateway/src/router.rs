//! Every path.

use std::future::ready;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::problem::{Code, Problem};
use crate::{
    account, admin, auth, bookings, cart, checkin, checkout, codes, document, events, headers, idempotency,
    limits, operations, oversight, payments, people, probes, seats, tickets, web, ws,
};

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

/// The paths, by what is put around them, and the document that describes them all.
struct Api {
    /// Asked most of all and answered from memory, mostly before they come here: nothing is put around them.
    polls: Router<App>,
    /// Whatever takes a place in a line, which a whole crowd does at once. The queue knows their idempotency keys.
    lines: Router<App>,
    rest: Router<App>,
    document: utoipa::openapi::OpenApi,
}

fn api() -> Api {
    let (polls, of_polls) = bookings::polls().split_for_parts();
    let (lines, of_lines) = bookings::lines().merge(seats::lines()).split_for_parts();
    let (rest, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(auth::router())
        .merge(account::router())
        .merge(people::router())
        .merge(events::router())
        .merge(seats::router())
        .merge(bookings::router())
        .merge(cart::router())
        .merge(checkout::router())
        .merge(payments::router())
        .merge(operations::router())
        .merge(oversight::router())
        .merge(tickets::router())
        .merge(checkin::router())
        .merge(crate::mailbox::router())
        .merge(admin::router())
        .merge(probes::router())
        .split_for_parts();
    document.merge(of_polls);
    document.merge(of_lines);
    document::complete(&mut document);
    Api { polls, lines, rest, document }
}

/// All paths, with what surrounds them.
pub fn router(app: App) -> Router {
    let Api { polls, lines, rest, document } = api();
    let around = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(panicked))
        .map_response(explain_timeout)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let has_tls = app.config.has_tls();
    let cors = headers::cors(&app.config);
    let rest = rest
        .layer(from_fn_with_state(app.clone(), idempotency::replay))
        .route("/ws", get(ws::open_socket))
        .route("/docs/errors", get(codes::explain_codes))
        .merge(web::router(&app))
        .merge(SwaggerUi::new("/docs").url("/api/openapi.json", document))
        .layer(from_fn_with_state(app.clone(), oversight::note_refused))
        .layer(from_fn_with_state(app.clone(), limits::limit_address))
        .layer(around.clone())
        .layer(map_response(move |response: Response| ready(headers::secure(response, has_tls))));
    let all = polls
        .merge(lines.layer(around))
        .merge(rest)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    match cors {
        Some(cors) => all.layer(cors).with_state(app),
        None => all.with_state(app),
    }
}

async fn not_found(request: Request<axum::body::Body>) -> Problem {
    Problem::new(Code::NotFound, format!("There is nothing at {}", request.uri().path()))
}

async fn method_not_allowed() -> Problem {
    Problem::plain(Code::MethodNotAllowed)
}

/// The time-out's own answer is an empty one.
fn explain_timeout(response: Response) -> Response {
    let is_bare = response.status() == StatusCode::SERVICE_UNAVAILABLE
        && !response.headers().contains_key(header::CONTENT_TYPE);
    if is_bare { Problem::plain(Code::Timeout).into_response() } else { response }
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::plain(Code::Internal).into_response()
}
