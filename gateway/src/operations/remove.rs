//! `POST /api/admin/queue/remove`

use axum::extract::State;
use axum::http::StatusCode;

use super::JobBody;
use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// Ends one job that waits or stands by; its shopper is told.
#[utoipa::path(post, path = "/api/admin/queue/remove", tag = "operators", request_body = JobBody,
    responses((status = 204, description = "It ended as `removed`"), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn remove_job(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<JobBody>,
) -> Result<StatusCode, Problem> {
    app.operations.remove(body.event_id, body.number, caller.user, Some(ip)).await?;
    Ok(StatusCode::NO_CONTENT)
}
