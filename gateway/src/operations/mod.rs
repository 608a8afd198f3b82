//! The operators' side of the queue.

mod clean;
mod details;
mod drain;
mod events;
mod history;
mod limits;
mod named;
mod named_clean;
mod named_promote;
mod obliterate;
mod pause;
mod promote;
mod remove;
mod retry;
mod stats;
mod target;

use serde::Deserialize;
use shared::domain::EventId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(stats::show_stats))
        .routes(routes!(details::show_details))
        .routes(routes!(pause::pause_queue))
        .routes(routes!(pause::resume_queue))
        .routes(routes!(clean::clean_queue))
        .routes(routes!(drain::drain_lane))
        .routes(routes!(obliterate::obliterate_lane))
        .routes(routes!(history::show_history))
        .routes(routes!(remove::remove_job))
        .routes(routes!(retry::retry_jobs))
        .routes(routes!(promote::promote_job))
        .routes(routes!(limits::limit_queue))
        .routes(routes!(events::read_events))
        .routes(routes!(named::list_named_queues))
        .routes(routes!(named::list_named_jobs))
        .routes(routes!(named::retry_named_jobs))
        .routes(routes!(named::remove_named_jobs))
        .routes(routes!(named_promote::promote_named_job))
        .routes(routes!(named_clean::clean_named_jobs))
}

/// A job by its lane and its number there, as `details` shows them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobBody {
    #[serde(alias = "event_id")]
    event_id: EventId,
    number: u64,
}
