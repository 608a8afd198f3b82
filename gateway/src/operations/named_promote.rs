//! `POST /api/admin/queue/jobs/promote`

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// A job of a named queue.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NamedJobBody {
    queue: String,
    id: Uuid,
}

/// Lets a job run now that rests after a failure, or is for later. One that rests keeps its place, one that is for later
/// gets it now.
#[utoipa::path(post, path = "/api/admin/queue/jobs/promote", tag = "operators", request_body = NamedJobBody,
    responses((status = 204, description = "It may run now"), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn promote_named_job(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<NamedJobBody>,
) -> Result<StatusCode, Problem> {
    app.operations.promote_named(&body.queue, body.id, (caller.user, Some(ip))).await?;
    Ok(StatusCode::NO_CONTENT)
}
