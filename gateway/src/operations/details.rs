//! `GET /api/admin/queue/details`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::{EventId, UserId};
use shared::queue::inspect::{Finished, FinishedJob};
use shared::shop::LaneReport;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Operator, Query};
use crate::problem::{Problem, ProblemBody};

/// Finished jobs of a lane in one answer at most.
const JOBS: usize = 20;

/// Which lane.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct Which {
    /// One alone.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
}

/// Lanes, one by one.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueDetails {
    /// 200 at most: those in which somebody waits, stands by or is being decided before the others, of either the newest
    /// events.
    lanes: Vec<LaneView>,
    /// How many there are.
    total: usize,
}

/// A lane.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneView {
    event_id: EventId,
    event_name: String,
    waiting: u64,
    active: u64,
    standby: u64,
    delayed: bool,
    /// By itself, or with the whole queue.
    paused: bool,
    /// By itself: `resume` with this event ends it.
    paused_by_itself: bool,
    message: Option<String>,
    oldest_waiting_seconds: Option<u64>,
    lease: Option<LeaseView>,
    /// Jobs completed since the lane began.
    completed_count: u64,
    /// Jobs failed since then.
    failed_count: u64,
    /// The latest of them.
    completed: Vec<JobView>,
    failed: Vec<JobView>,
}

/// Who works on a lane.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaseView {
    worker: String,
    fence: u64,
    until_ms: u64,
    /// Active for more than 30 seconds, or run out.
    stalled: bool,
}

/// A finished job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    number: u64,
    user_id: UserId,
    status: String,
    code: Option<String>,
    attempts: u32,
    decided_at: DateTime<Utc>,
}

impl From<FinishedJob> for JobView {
    fn from(job: FinishedJob) -> Self {
        Self {
            number: job.number,
            user_id: job.user,
            status: job.status,
            code: job.code,
            attempts: job.attempts,
            decided_at: DateTime::from_timestamp_millis(job.at_ms).unwrap_or_default(),
        }
    }
}

/// Figures lane by lane, with the latest finished jobs.
#[utoipa::path(get, path = "/api/admin/queue/details", tag = "operators", params(Which),
    responses((status = 200, body = QueueDetails), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_details(
    State(app): State<App>,
    _: Operator,
    Query(which): Query<Which>,
) -> Result<Json<QueueDetails>, Problem> {
    let mut lanes = Vec::new();
    let (reports, total) = app.operations.lanes(which.event_id).await?;
    for report in reports {
        lanes.push(view(&app, report).await?);
    }
    Ok(Json(QueueDetails { lanes, total }))
}

async fn view(app: &App, report: LaneReport) -> Result<LaneView, Problem> {
    let latest = async |which| -> Result<Vec<JobView>, Problem> {
        let jobs = app.operations.finished(report.event, which).await?;
        Ok(jobs.into_iter().take(JOBS).map(JobView::from).collect())
    };
    let (completed, failed) = (latest(Finished::Completed).await?, latest(Finished::Failed).await?);
    let state = report.state;
    let pause = state.pause().clone();
    Ok(LaneView {
        event_id: report.event,
        event_name: report.name,
        waiting: state.waiting,
        active: state.active,
        standby: state.standby,
        delayed: state.is_delayed,
        paused: pause.paused,
        paused_by_itself: state.own_pause.paused,
        message: Some(pause.message).filter(|message| !message.is_empty()),
        oldest_waiting_seconds: state.oldest_waiting_s,
        completed_count: state.completed,
        failed_count: state.failed,
        lease: state.lease.map(|lease| LeaseView {
            worker: lease.worker,
            fence: lease.fence,
            until_ms: lease.until_ms,
            stalled: lease.is_stalled,
        }),
        completed,
        failed,
    })
}
