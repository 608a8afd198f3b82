//! `POST /api/admin/queue/pause` and `resume`

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::{EventId, UserId};
use shared::queue::control::Pause;
use utoipa::ToSchema;

use super::target::Target;
use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Code, Problem, ProblemBody};

/// A message is no longer than this.
const MAX_MESSAGE: usize = 300;

/// What is paused, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseBody {
    /// A named queue, such as `mail`; without it the booking queue.
    queue: Option<String>,
    /// One event's lane; without it the whole queue.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// One lane of the named queue; without it all of it.
    #[schema(maximum = 63)]
    lane: Option<u16>,
    /// What those who wait are told.
    #[serde(default)]
    message: String,
}

/// What is resumed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResumeBody {
    /// A named queue; without it the booking queue.
    queue: Option<String>,
    /// One event's lane; without it the pause of the whole queue ends. A lane paused by itself stays paused.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// One lane of the named queue, which was paused by itself; without it all of it.
    #[schema(maximum = 63)]
    lane: Option<u16>,
    /// What those who wait are told from now on; without it nothing any more.
    #[serde(default)]
    message: String,
}

/// What holds now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Paused {
    paused: bool,
    /// `queue`, the event, or the named queue and its lane.
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
    check_message(&body.message)?;
    let pause = Pause { paused: true, message: body.message };
    let target = Target::of(body.queue, body.event_id, body.lane)?;
    let scope = set_pause(&app, target, &pause, (caller.user, ip)).await?;
    Ok(Json(Paused { paused: true, scope }))
}

/// Ends a pause; with a message also says something where nothing is paused, without one takes it back.
#[utoipa::path(post, path = "/api/admin/queue/resume", tag = "operators", request_body = ResumeBody,
    responses((status = 200, body = Paused), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn resume_queue(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<ResumeBody>,
) -> Result<Json<Paused>, Problem> {
    check_message(&body.message)?;
    let pause = Pause { paused: false, message: body.message };
    let target = Target::of(body.queue, body.event_id, body.lane)?;
    let scope = set_pause(&app, target, &pause, (caller.user, ip)).await?;
    Ok(Json(Paused { paused: false, scope }))
}

fn check_message(message: &str) -> Result<(), Problem> {
    if message.chars().count() > MAX_MESSAGE {
        return Err(Problem::new(
            Code::Validation,
            format!("message must be at most {MAX_MESSAGE} characters"),
        ));
    }
    Ok(())
}

/// Returns what was paused or resumed.
async fn set_pause(
    app: &App,
    target: Target,
    pause: &Pause,
    (by, ip): (UserId, IpAddr),
) -> Result<String, Problem> {
    Ok(match target {
        Target::Bookings(event) => app.operations.set_pause(event, pause, by, Some(ip)).await?,
        Target::Named(queue, lane) => {
            app.operations.pause_named((&queue, lane), pause, (by, Some(ip))).await?
        }
    })
}
