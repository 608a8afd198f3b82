//! What providers tell, and what admins see and do about money.

mod circuit;
mod differences;
mod refunds;
mod webhook;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// Webhooks larger than this are refused; providers send some kilobytes.
const MAX_WEBHOOK: usize = 64 * 1024;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    let webhooks = OpenApiRouter::new()
        .routes(routes!(webhook::receive_webhook))
        .routes(routes!(webhook::receive_named_webhook))
        .layer(DefaultBodyLimit::max(MAX_WEBHOOK));
    OpenApiRouter::new()
        .merge(webhooks)
        .routes(routes!(circuit::show_circuit))
        .routes(routes!(differences::list_differences))
        .routes(routes!(refunds::list_refunds))
        .routes(routes!(refunds::retry_refund))
        .routes(routes!(refunds::refund_any_order))
        .routes(routes!(refunds::refund_event))
}
