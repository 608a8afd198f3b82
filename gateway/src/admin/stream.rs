//! `GET /api/admin/stream`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::store::DeadRecord;
use shared::stream::GroupLag;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Operator;
use crate::problem::{Problem, ProblemBody};

/// How the event stream stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamView {
    /// `redis` or `kafka`.
    broker: String,
    /// Whether the broker answers.
    broker_is_there: bool,
    outbox: OutboxView,
    /// Usher's own groups; none while the broker is away.
    groups: Vec<GroupView>,
    /// Facts that a group could not handle, the latest 100.
    dead: Vec<DeadView>,
    /// How many of those are kept.
    dead_count: i64,
}

/// What was not sent yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboxView {
    unsent: i64,
    oldest_seconds: f64,
}

/// How far a group is behind on a topic.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    group: String,
    topic: String,
    /// Facts that were not read yet, and those that are being handled.
    lag: u64,
    /// Those that are being handled.
    pending: u64,
}

impl From<GroupLag> for GroupView {
    fn from(one: GroupLag) -> Self {
        Self {
            group: one.group.name().to_owned(),
            topic: one.topic.to_owned(),
            lag: one.lag.unread + one.lag.pending,
            pending: one.lag.pending,
        }
    }
}

/// A fact that a group could not handle.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadView {
    id: i64,
    group: String,
    topic: String,
    /// The id of the fact, or the broker's where it is none.
    message_id: String,
    error: String,
    dead_at: DateTime<Utc>,
}

impl From<DeadRecord> for DeadView {
    fn from(dead: DeadRecord) -> Self {
        let DeadRecord { id, group, topic, message_id, error, dead_at } = dead;
        Self { id, group, topic, message_id, error, dead_at }
    }
}

/// How far the event stream is behind, and what could not be handled.
#[utoipa::path(get, path = "/api/admin/stream", tag = "administration",
    responses((status = 200, body = StreamView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_stream(
    State(app): State<App>,
    Operator(_caller): Operator,
) -> Result<Json<StreamView>, Problem> {
    let report = app.figures.stream().await?;
    Ok(Json(StreamView {
        broker: report.broker.to_owned(),
        broker_is_there: report.lags.is_some(),
        outbox: OutboxView { unsent: report.outbox.unsent, oldest_seconds: report.outbox.oldest_seconds },
        groups: report.lags.into_iter().flatten().map(GroupView::from).collect(),
        dead: report.dead.into_iter().map(DeadView::from).collect(),
        dead_count: report.dead_count,
    }))
}
