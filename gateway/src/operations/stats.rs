//! `GET /api/admin/queue/stats`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Operator;
use crate::problem::{Problem, ProblemBody};

/// The queue as a whole.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueStats {
    /// Jobs that wait, but for those of lanes that rest.
    waiting: u64,
    active: u64,
    /// Jobs that wait in lanes that rest after a fault.
    delayed: u64,
    /// Since the lanes began.
    completed: u64,
    failed: u64,
    /// Leases that ran out.
    stalled: u64,
    /// The whole queue is paused; lanes paused by themselves do not count.
    paused: bool,
    lanes: usize,
    /// Completed among all that ended, 0 to 1; absent before any did.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
    processing: Processing,
}

/// How long batches take, and how much goes through: as this gateway hears it, over the last minute.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Processing {
    p50_ms: f64,
    p95_ms: f64,
    throughput_per_second: f64,
}

/// Figures of the whole queue.
#[utoipa::path(get, path = "/api/admin/queue/stats", tag = "operators",
    responses((status = 200, body = QueueStats), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_stats(State(app): State<App>, _: Operator) -> Result<Json<QueueStats>, Problem> {
    let lanes = app.operations.states().await?;
    let mut stats = QueueStats { lanes: lanes.len(), ..QueueStats::default() };
    stats.paused = app.operations.whole_pause().await?.paused;
    for state in &lanes {
        if state.is_delayed {
            stats.delayed += state.waiting;
        } else {
            stats.waiting += state.waiting;
        }
        stats.active += state.active;
        stats.completed += state.completed;
        stats.failed += state.failed;
        stats.stalled += state.stalled;
    }
    let ended = stats.completed + stats.failed;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    if ended > 0 {
        stats.success_rate = Some(stats.completed as f64 / ended as f64);
    }
    let pace = app.hub.pace();
    stats.processing =
        Processing { p50_ms: pace.p50_ms, p95_ms: pace.p95_ms, throughput_per_second: pace.jobs_per_second };
    Ok(Json(stats))
}
