//! `POST /api/admin/queue/pause` and `resume`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use shared::queue::control::Pause;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Code, Problem, ProblemBody};

/// A message is no longer than this.
const MAX_MESSAGE: usize = 300;

/// What is paused, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseBody {
    /// One event's lane; without it the whole queue.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// What those who wait are told.
    #[serde(default)]
    message: String,
}

/// What is resumed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResumeBody {
    /// One event's lane; without it the pause of the whole queue ends. A lane paused by itself stays paused.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
}

/// What holds now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Paused {
    paused: bool,
    /// `queue`, or the event.
    scope: String,
}

/// Pauses the queue or one lane: requests are still taken in, nothing is decided.
#[utoipa::path(post, path = "/api/admin/queue/pause", tag = "operators", request_body = PauseBody,
    responses((status = 200, body = Paused), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn pause_queue(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<PauseBody>,
) -> Result<Json<Paused>, Problem> {
    if body.message.chars().count() > MAX_MESSAGE {
        return Err(Problem::new(
            Code::Validation,
            format!("message must be at most {MAX_MESSAGE} characters"),
        ));
    }
    let pause = Pause { paused: true, message: body.message };
    app.operations.set_pause(body.event_id, &pause, caller.user, Some(ip)).await?;
    Ok(Json(Paused { paused: true, scope: scope(body.event_id) }))
}

/// Ends a pause.
#[utoipa::path(post, path = "/api/admin/queue/resume", tag = "operators", request_body = ResumeBody,
    responses((status = 200, body = Paused), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn resume_queue(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<ResumeBody>,
) -> Result<Json<Paused>, Problem> {
    app.operations.set_pause(body.event_id, &Pause::default(), caller.user, Some(ip)).await?;
    Ok(Json(Paused { paused: false, scope: scope(body.event_id) }))
}

fn scope(event: Option<EventId>) -> String {
    event.map_or_else(|| "queue".to_owned(), |event| format!("event {event}"))
}
