//! `POST /api/admin/queue/jobs/clean`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use shared::shop::NamedFinished;
use utoipa::ToSchema;

use super::clean::Cleaned;
use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// Which finished jobs of a named queue are forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedCleanBody {
    queue: String,
    /// Without it all.
    state: Option<NamedFinishedState>,
    /// Only those that finished longer ago than this.
    #[serde(default, alias = "older_than_seconds")]
    #[schema(minimum = 0, maximum = 31_536_000)]
    older_than_seconds: u32,
    /// 1 to 1,000, of all states together.
    #[serde(default = "most")]
    #[schema(minimum = 1, maximum = 1_000)]
    limit: u32,
}

/// How a job of a named queue has finished.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedFinishedState {
    /// Done.
    Completed,
    /// Failed for good.
    Failed,
    /// Removed by an operator.
    Removed,
}

fn most() -> u32 {
    1_000
}

/// Forgets finished jobs of a named queue, those first that were written first. A failed one that is forgotten cannot be
/// tried once more.
#[utoipa::path(post, path = "/api/admin/queue/jobs/clean", tag = "operators", request_body = NamedCleanBody,
    responses((status = 200, body = Cleaned), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn clean_named_jobs(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<NamedCleanBody>,
) -> Result<Json<Cleaned>, Problem> {
    let which: &[NamedFinished] = match body.state {
        Some(NamedFinishedState::Completed) => &[NamedFinished::Completed],
        Some(NamedFinishedState::Failed) => &[NamedFinished::Failed],
        Some(NamedFinishedState::Removed) => &[NamedFinished::Removed],
        None => &[NamedFinished::Completed, NamedFinished::Failed, NamedFinished::Removed],
    };
    let older_than = Duration::from_secs(body.older_than_seconds.into());
    let which = (which, older_than, body.limit.clamp(1, 1_000));
    let removed = app.operations.clean_named(&body.queue, which, (caller.user, Some(ip))).await?;
    Ok(Json(Cleaned { removed }))
}
