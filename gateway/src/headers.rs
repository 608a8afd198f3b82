//! Headers that tell browsers what answers may be used for.

use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::GatewayConfig;

/// What pages may load: only what comes from here. Swagger UI and the seat map set styles on elements.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; \
     object-src 'none'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
);
/// The camera is for reading tickets at the door.
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(self), geolocation=(), microphone=(), payment=(), usb=()");
/// Browsers use TLS only, for a year.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
/// An answer is what it says it is.
pub const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Seconds that a browser may remember what another origin's page may do.
const PREFLIGHT_S: u64 = 600;

/// Adds what an answer does not say itself. `has_tls`: browsers are told to use nothing else.
pub fn secure(mut response: Response, has_tls: bool) -> Response {
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    add(header::CONTENT_SECURITY_POLICY, POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    add(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    add(HeaderName::from_static("permissions-policy"), PERMISSIONS);
    if has_tls {
        add(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    response
}

/// What pages of the listed origins may do: everything, with a token in a header. Cookies are for our own pages only.
/// `None` where none is listed, so that nothing is spent on it.
pub fn cors(config: &GatewayConfig) -> Option<CorsLayer> {
    let listed: Vec<HeaderValue> =
        config.allowed_origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect();
    if listed.is_empty() {
        return None;
    }
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_NONE_MATCH,
        HeaderName::from_static("idempotency-key"),
    ];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(headers)
        .expose_headers([header::ETAG, header::RETRY_AFTER, header::LOCATION])
        .max_age(std::time::Duration::from_secs(PREFLIGHT_S));
    Some(layer)
}
