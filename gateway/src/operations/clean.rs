//! `POST /api/admin/queue/clean`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use shared::queue::inspect::Finished;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// Which finished jobs are forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanBody {
    /// Without it both.
    state: Option<FinishedState>,
    /// Of one event; without it of all.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// Only those that finished longer ago than this.
    #[serde(default, alias = "older_than_seconds")]
    #[schema(minimum = 0, maximum = 31_536_000)]
    older_than_seconds: u32,
    /// 1 to 1,000, of both states together.
    #[serde(default = "most")]
    #[schema(minimum = 1, maximum = 1_000)]
    limit: usize,
}

/// How a job has finished.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FinishedState {
    /// Won.
    Completed,
    /// Refused.
    Failed,
}

fn most() -> usize {
    1_000
}

/// How many were forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cleaned {
    pub(super) removed: u64,
}

/// Forgets finished jobs, oldest first; their outcomes stay in PostgreSQL.
#[utoipa::path(post, path = "/api/admin/queue/clean", tag = "operators", request_body = CleanBody,
    responses((status = 200, body = Cleaned), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn clean_queue(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<CleanBody>,
) -> Result<Json<Cleaned>, Problem> {
    let which: &[Finished] = match body.state {
        Some(FinishedState::Completed) => &[Finished::Completed],
        Some(FinishedState::Failed) => &[Finished::Failed],
        None => &[Finished::Completed, Finished::Failed],
    };
    let older_than = Duration::from_secs(body.older_than_seconds.into());
    let which_of_them = (which, older_than, body.limit.clamp(1, 1_000));
    let removed = app.operations.clean(body.event_id, which_of_them, caller.user, Some(ip)).await?;
    Ok(Json(Cleaned { removed }))
}
