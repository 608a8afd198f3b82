//! The pages of `web/`, served from the folder they were built into.

use axum::Router;
use tower_http::services::{ServeDir, ServeFile};

use crate::app::App;

/// The app's own paths.
const PAGES: &[&str] = &[
    "/",
    "/concerts",
    "/concerts/{id}",
    "/cart",
    "/login",
    "/password",
    "/checkout/{end}",
    "/orders",
    "/orders/{id}",
    "/tickets",
    "/tickets/{id}",
    "/account",
    "/operator",
    "/admin",
    "/admin/{part}",
    "/admin/{part}/{id}",
    "/scan",
];

/// Files where there are any, and the app's page at its own paths.
pub fn router(app: &App) -> Router<App> {
    let folder = &app.config.web_dir;
    if !folder.join("index.html").is_file() {
        tracing::warn!(folder = %folder.display(), "there are no built web pages here; only the API is served");
    }
    let page = ServeFile::new(folder.join("index.html"));
    let mut router = Router::new();
    for path in PAGES {
        router = router.route_service(path, page.clone());
    }
    router
        .nest_service("/assets", ServeDir::new(folder.join("assets")).precompressed_gzip())
        .route_service("/favicon.svg", ServeFile::new(folder.join("favicon.svg")))
}
