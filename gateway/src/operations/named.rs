//! `GET /api/admin/queue/named`, `GET /api/admin/queue/jobs`, `POST /api/admin/queue/jobs/retry` and `remove`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::queue::inspect_jobs::LaneCounts;
use shared::shop::{JobReport, QueueReport, Which};
use shared::store::JobRecord;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::App;
use crate::caller::{Body, ClientIp, Operator, Query};
use crate::problem::{Problem, ProblemBody};

/// Jobs in one answer or call at most.
const MOST: i64 = 1_000;

/// The named queues.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedQueueList {
    items: Vec<NamedQueueView>,
}

/// A named queue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedQueueView {
    queue: String,
    /// Jobs that are not finished.
    waiting: i64,
    /// Those of them that have failed before, or whose worker died at them.
    retrying: i64,
    /// Jobs that failed for good and are still kept.
    failed: i64,
    /// Jobs that are being done; left out, as all that stands in Redis, while that is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<u64>,
    /// Jobs that were done since the lanes began in Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<u64>,
    /// Lanes that something is in, or that are paused; 64 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    lanes: Option<Vec<NamedLaneView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_waiting_since: Option<DateTime<Utc>>,
    paused: bool,
    message: String,
}

/// A lane of a named queue, as it stands in Redis; jobs get there within a quarter of a second, those for later within the
/// hour before.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedLaneView {
    #[schema(maximum = 63)]
    lane: u16,
    /// Jobs that may run.
    waiting: u64,
    /// Jobs that are being done.
    active: u64,
    /// Jobs that rest after a failure, or are for later.
    resting: u64,
    /// Jobs done since the lane began in Redis.
    completed: u64,
    /// Jobs failed for good since then.
    failed: u64,
    /// By itself: `resume` with this lane ends it.
    paused: bool,
    /// Who does what is active.
    worker: Option<String>,
}

impl NamedLaneView {
    /// `None` when the lane is empty and not paused.
    fn of(counts: &LaneCounts) -> Option<Self> {
        let LaneCounts { lane, waiting, active, resting, completed, failed, is_paused: paused, worker } =
            counts.clone();
        let is_told = waiting + active + resting > 0 || paused;
        is_told.then_some(Self { lane, waiting, active, resting, completed, failed, paused, worker })
    }
}

impl From<QueueReport> for NamedQueueView {
    fn from(QueueReport { record, pause, lanes }: QueueReport) -> Self {
        let sum = |of: fn(&LaneCounts) -> u64| lanes.as_ref().map(|lanes| lanes.iter().map(of).sum::<u64>());
        Self {
            queue: record.name,
            waiting: record.waiting,
            retrying: record.retrying,
            failed: record.failed,
            active: sum(|lane| lane.active),
            completed: sum(|lane| lane.completed),
            lanes: lanes.as_ref().map(|lanes| lanes.iter().filter_map(NamedLaneView::of).collect()),
            oldest_waiting_since: record.oldest,
            paused: pause.paused,
            message: pause.message,
        }
    }
}

/// Which jobs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct JobQuery {
    queue: String,
    #[serde(default)]
    #[param(inline)]
    status: JobState,
    /// One job alone, whatever its state.
    id: Option<Uuid>,
    /// 1 to 1,000.
    #[serde(default = "most")]
    #[param(minimum = 1, maximum = 1_000)]
    limit: i64,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Not finished.
    Waiting,
    /// Done.
    Completed,
    /// Failed for good.
    #[default]
    Failed,
    /// Removed by an operator.
    Removed,
}

impl JobState {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Removed => "removed",
        }
    }
}

/// Jobs of a named queue, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedJobList {
    items: Vec<NamedJobView>,
}

/// A job of a named queue. What it is about is not shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedJobView {
    id: Uuid,
    /// Which lane it is in.
    #[schema(minimum = 0, maximum = 63)]
    lane: i16,
    status: String,
    /// How many are ahead of it in its lane + 1, 0 when it is being done; left out for one that rests, has not been
    /// looked at since it was due, has come within this quarter of a second or has finished, and while Redis is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<u64>,
    attempts: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// How each attempt failed, the last one last, where that is still kept; the latest 20, of the newest 100 jobs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<Uuid>,
    /// How far the attempt that runs has come, in percent, where its handler says so; about once a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100)]
    progress: Option<i16>,
    /// When it said so last. Long ago: its worker has died, and another attempt follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_at: Option<DateTime<Utc>>,
}

impl From<JobReport> for NamedJobView {
    fn from(JobReport { record: job, place, errors }: JobReport) -> Self {
        let JobRecord { id, lane, status, attempts, error, created_at, run_at, finished_at, .. } = job;
        let JobRecord { retry_of, progress, progress_at, .. } = job;
        Self {
            id,
            lane,
            status,
            place,
            attempts,
            error,
            errors,
            created_at,
            run_at,
            finished_at,
            retry_of,
            progress,
            progress_at,
        }
    }
}

/// One job, or as many as `limit` says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedJobsBody {
    queue: String,
    id: Option<Uuid>,
    /// 1 to 1,000.
    #[serde(default = "most")]
    #[schema(minimum = 1, maximum = 1_000)]
    limit: i64,
}

/// The new jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetriedJobs {
    items: Vec<RetriedJob>,
}

/// A new job for one that failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetriedJob {
    retry_of: Uuid,
    id: Uuid,
}

/// How many were removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedJobs {
    removed: u64,
}

fn most() -> i64 {
    MOST
}

/// The queues beside the bookings: those of which jobs are kept, finished or not, and those that were paused or limited.
#[utoipa::path(get, path = "/api/admin/queue/named", tag = "operators",
    responses((status = 200, body = NamedQueueList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_named_queues(
    State(app): State<App>,
    Operator(_caller): Operator,
) -> Result<Json<NamedQueueList>, Problem> {
    let queues = app.operations.named_queues().await?;
    Ok(Json(NamedQueueList { items: queues.into_iter().map(NamedQueueView::from).collect() }))
}

/// Jobs of a named queue in one state, newest first, or one job.
#[utoipa::path(get, path = "/api/admin/queue/jobs", tag = "operators", params(JobQuery),
    responses((status = 200, body = NamedJobList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_named_jobs(
    State(app): State<App>,
    Operator(_caller): Operator,
    Query(query): Query<JobQuery>,
) -> Result<Json<NamedJobList>, Problem> {
    let limit = query.limit.clamp(1, MOST);
    let which = query.id.map_or(Which::In(query.status.word(), limit), Which::One);
    let jobs = app.operations.named_jobs(&query.queue, which).await?;
    Ok(Json(NamedJobList { items: jobs.into_iter().map(NamedJobView::from).collect() }))
}

/// Does failed jobs once more, each as a new job; asking twice gives the same one.
#[utoipa::path(post, path = "/api/admin/queue/jobs/retry", tag = "operators", request_body = NamedJobsBody,
    responses((status = 200, body = RetriedJobs), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn retry_named_jobs(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<NamedJobsBody>,
) -> Result<Json<RetriedJobs>, Problem> {
    let limit = body.limit.clamp(1, MOST);
    let retried = app.operations.retry_named(&body.queue, body.id, limit, (caller.user, Some(ip))).await?;
    let items = retried.into_iter().map(|(retry_of, id)| RetriedJob { retry_of, id });
    Ok(Json(RetriedJobs { items: items.collect() }))
}

/// Removes jobs that wait, rest or are for later, oldest first; what a worker has at hand goes on.
#[utoipa::path(post, path = "/api/admin/queue/jobs/remove", tag = "operators", request_body = NamedJobsBody,
    responses((status = 200, body = RemovedJobs), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn remove_named_jobs(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<NamedJobsBody>,
) -> Result<Json<RemovedJobs>, Problem> {
    let limit = usize::try_from(body.limit.clamp(1, MOST)).unwrap_or(1);
    let removed = app.operations.remove_named(&body.queue, body.id, limit, (caller.user, Some(ip))).await?;
    Ok(Json(RemovedJobs { removed }))
}
