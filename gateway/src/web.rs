//! The pages of `web/`, served from the folder they were built into.

use axum::Router;
use axum::http::{HeaderValue, header};
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;

/// What pages may load: only what comes from here.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";

/// Files where there are any, and the app's page at its own paths.
pub fn router(app: &App) -> Router<App> {
    let folder = &app.config.web_dir;
    if !folder.join("index.html").is_file() {
        tracing::warn!(folder = %folder.display(), "there are no built web pages here; only the API is served");
    }
    let page = ServeFile::new(folder.join("index.html"));
    let mut router = Router::new();
    for path in ["/", "/concerts", "/concerts/{id}", "/cart", "/login", "/operator"] {
        router = router.route_service(path, page.clone());
    }
    let header =
        |name, value: &'static str| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    router
        .nest_service("/assets", ServeDir::new(folder.join("assets")).precompressed_gzip())
        .route_service("/favicon.svg", ServeFile::new(folder.join("favicon.svg")))
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
}
