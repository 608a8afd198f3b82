//! What the OpenAPI document says of every operation alike: who may call it, and how it refuses.
//!
//! Handlers state `4XX` and `5XX`; here the former becomes the statuses that such an operation has, each with the codes
//! that go with it.

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

use crate::problem::Code;

/// How one may show who one is: the scheme's name.
const SCHEMES: [&str; 3] = ["bearer", "basic", "apiKey"];
/// What answers whoever asks.
const PUBLIC: [&str; 23] = [
    "get /health",
    "get /health/stores",
    "get /ready",
    "get /metrics",
    "post /api/auth/register",
    "post /api/auth/login",
    "post /api/auth/refresh",
    "post /api/auth/password/reset",
    "post /api/auth/password/reset/confirm",
    "get /api/events",
    "get /api/events/archive",
    "get /api/events/search",
    "get /api/events/{id}",
    "get /api/events/{id}/seatmap",
    "get /api/events/{id}/availability",
    "get /api/seats",
    "get /api/bookings/status/{id}",
    "get /tickets/queue/{id}",
    "post /api/webhook/payment",
    "post /api/webhook/payment/{provider}",
    "get /.well-known/usher-tickets.json",
    // Open where people try Usher out, and not there at all elsewhere.
    "get /api/mailbox",
    "get /mailbox",
];
const PROBLEM_JSON: &str = "application/problem+json";

/// Statuses with which requests are refused.
const REFUSALS: [StatusCode; 10] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::CONFLICT,
    StatusCode::GONE,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
];

/// Adds what all operations have in common.
pub(crate) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key")));
    for (name, scheme) in SCHEMES.into_iter().zip([
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)),
        key,
    ]) {
        components.add_security_scheme(name, scheme);
    }
    for status in REFUSALS {
        components.responses.insert(name_of(status), RefOr::T(refusal(status)));
    }
    for (path, item) in &mut document.paths.paths {
        let PathItem { get, put, post, delete, patch, .. } = item;
        let methods = [("get", get), ("put", put), ("post", post), ("delete", delete), ("patch", patch)];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                describe(method, path, operation);
            }
        }
    }
}

fn describe(method: &str, path: &str, operation: &mut Operation) {
    let is_public = PUBLIC.contains(&format!("{method} {path}").as_str());
    if !is_public {
        let none: [&str; 0] = [];
        operation.security = Some(SCHEMES.map(|scheme| SecurityRequirement::new(scheme, none)).to_vec());
    }
    let responses = &mut operation.responses.responses;
    let refuses = responses.remove("4XX").is_some();
    if let Some(RefOr::T(fault)) = responses.get_mut("5XX")
        && let Some(content) = fault.content.shift_remove("application/json")
    {
        fault.content.insert(PROBLEM_JSON.to_owned(), content);
    }
    if !refuses {
        return;
    }
    for status in REFUSALS {
        if may_answer(status, method, path, operation) {
            let response = RefOr::Ref(Ref::from_response_name(name_of(status)));
            operation.responses.responses.insert(status.as_str().to_owned(), response);
        }
    }
}

/// Whether an operation may refuse with this status, by what it takes.
fn may_answer(status: StatusCode, method: &str, path: &str, operation: &Operation) -> bool {
    let takes_body = operation.request_body.is_some();
    let takes_any = takes_body || operation.parameters.as_ref().is_some_and(|all| !all.is_empty());
    let writes = method != "get";
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => takes_any || writes,
        StatusCode::NOT_FOUND => takes_any || path.ends_with("mailbox"),
        StatusCode::CONFLICT => writes || path.starts_with("/api/tickets/"),
        StatusCode::GONE => {
            path.contains("/queue") || path.contains("/status/") || path.ends_with("/confirm")
        }
        StatusCode::PAYLOAD_TOO_LARGE => writes,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => takes_body,
        // 401 and 403 too: whoever shows credentials to what is open to all is told where they are wrong.
        _ => true,
    }
}

fn name_of(status: StatusCode) -> String {
    format!("Refused{}", status.as_str())
}

/// A problem of this status, with the codes that it may have.
fn refusal(status: StatusCode) -> Response {
    let codes = Code::ALL.iter().filter(|code| code.status() == status).map(|code| code.word());
    let own = ObjectBuilder::new()
        .property(
            "status",
            ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([status.as_u16()])),
        )
        .property("code", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)));
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("ProblemBody")).item(own);
    let mut response = Response::new(status.canonical_reason().unwrap_or_default());
    response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(Content::new(Some(schema))));
    response
}
