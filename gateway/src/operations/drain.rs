//! `POST /api/admin/queue/drain`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// Jobs that one call ends at most.
pub(super) const MOST: usize = 1_000;

/// Which lane is drained.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainBody {
    #[serde(alias = "event_id")]
    pub(super) event_id: EventId,
    /// 1 to 1,000.
    #[serde(default = "most")]
    #[schema(minimum = 1, maximum = 1_000)]
    pub(super) limit: usize,
}

fn most() -> usize {
    MOST
}

/// How far it came.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrainedView {
    /// Ended as `removed`, and told.
    removed: u64,
    /// Still there: call again.
    left: u64,
}

/// Ends jobs that wait or stand by in a lane, oldest first. Pause it first, or those who come meanwhile are served.
#[utoipa::path(post, path = "/api/admin/queue/drain", tag = "operators", request_body = DrainBody,
    responses((status = 200, body = DrainedView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn drain_lane(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<DrainBody>,
) -> Result<Json<DrainedView>, Problem> {
    let limit = body.limit.clamp(1, MOST);
    let drained = app.operations.drain(body.event_id, limit, caller.user, Some(ip)).await?;
    Ok(Json(DrainedView { removed: drained.removed, left: drained.left }))
}
