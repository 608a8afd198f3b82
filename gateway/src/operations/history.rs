//! `GET /api/admin/queue/history`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use shared::queue::history::Minute;
use utoipa::{IntoParams, ToSchema};

use super::target::Target;
use crate::app::App;
use crate::caller::{Operator, Query};
use crate::problem::{Problem, ProblemBody};

/// Which lane or queue, and how far back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct Which {
    /// One alone; without it the sum of all.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// All lanes of a named queue, instead of those of the booking queue.
    queue: Option<String>,
    /// One of its lanes.
    #[param(maximum = 63)]
    lane: Option<u16>,
    /// 1 to 1,440.
    #[serde(default = "an_hour")]
    #[param(minimum = 1, maximum = 1_440)]
    minutes: u64,
}

fn an_hour() -> u64 {
    60
}

/// Minutes in which something was decided, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    items: Vec<MinuteView>,
}

/// One minute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinuteView {
    /// When it began.
    at: DateTime<Utc>,
    completed: u64,
    failed: u64,
    batches: u64,
    /// How long a batch took.
    mean_batch_ms: u64,
}

impl From<Minute> for MinuteView {
    fn from(one: Minute) -> Self {
        let seconds = i64::try_from(one.minute * 60).unwrap_or(0);
        Self {
            at: DateTime::from_timestamp(seconds, 0).unwrap_or_default(),
            completed: one.completed,
            failed: one.failed,
            batches: one.batches,
            mean_batch_ms: one.busy_ms / one.batches.max(1),
        }
    }
}

/// What went through a queue or one lane, minute by minute, over a day at most.
#[utoipa::path(get, path = "/api/admin/queue/history", tag = "operators", params(Which),
    responses((status = 200, body = History), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_history(
    State(app): State<App>,
    _: Operator,
    Query(which): Query<Which>,
) -> Result<Json<History>, Problem> {
    let minutes = match Target::of(which.queue, which.event_id, which.lane)? {
        Target::Bookings(event) => app.operations.history(event, which.minutes).await?,
        Target::Named(queue, lane) => app.operations.named_history((&queue, lane), which.minutes).await?,
    };
    Ok(Json(History { items: minutes.into_iter().map(MinuteView::from).collect() }))
}
