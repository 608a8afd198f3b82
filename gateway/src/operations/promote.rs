//! `POST /api/admin/queue/promote`

use super::JobBody;
use crate::caller::{Body, Operator};
use crate::problem::{Code, Problem, ProblemBody};

/// Refused: on a strict lane nobody is moved ahead of others, not even by an operator.
#[utoipa::path(post, path = "/api/admin/queue/promote", tag = "operators", request_body = JobBody,
    responses((status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn promote_job(_: Operator, Body(body): Body<JobBody>) -> Problem {
    Problem::new(
        Code::StrictLane,
        format!("Job {} of event {} keeps its place, as everybody does", body.number, body.event_id),
    )
}
