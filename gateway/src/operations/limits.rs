//! `POST /api/admin/queue/limits`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use shared::queue::PARTITIONS;
use shared::queue::control::Rate;
use shared::shop::Limits;
use utoipa::ToSchema;

use super::target::Target;
use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Code, Problem, ProblemBody};

/// The longest window, in ms: a day.
const LONGEST_WINDOW: u32 = 86_400_000;

/// What is limited, and how; what is left out is not limited any more.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsBody {
    /// A named queue; without it the booking queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    /// One event's lane of the booking queue; without it the whole queue.
    #[serde(alias = "event_id", skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// At most so many jobs …
    #[serde(alias = "max_jobs", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_jobs: Option<u32>,
    /// … in so many ms, a day at most.
    #[serde(alias = "window_ms", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400_000)]
    window_ms: Option<u32>,
    /// One lane of the named queue; without it all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 63)]
    lane: Option<u16>,
    /// Lanes that are worked on at the same time; of a whole queue only.
    #[serde(alias = "lanes_at_once", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000)]
    lanes_at_once: Option<u32>,
}

impl LimitsBody {
    fn read(&self, target: &Target) -> Result<Limits, &'static str> {
        let rate = match (self.max_jobs, self.window_ms) {
            (None, None) => None,
            (Some(max @ 1..=1_000_000), Some(window_ms @ 1..=LONGEST_WINDOW)) => {
                Some(Rate { max, window_ms })
            }
            (Some(_), Some(_)) => return Err("maxJobs must be 1 to 1,000,000 and windowMs 1 to 86,400,000"),
            (Some(_), None) | (None, Some(_)) => return Err("maxJobs and windowMs go together"),
        };
        if self.lanes_at_once.is_some() && (self.event_id.is_some() || self.lane.is_some()) {
            return Err("lanesAtOnce is of a whole queue, not of one lane");
        }
        if self.lanes_at_once.is_some_and(|lanes| !(1..=10_000).contains(&lanes)) {
            return Err("lanesAtOnce must be 1 to 10,000");
        }
        let least = [rate.map(|rate| rate.max), self.lanes_at_once].into_iter().flatten().min();
        let is_of_all_bookings = matches!(target, Target::Bookings(None));
        if is_of_all_bookings && least.is_some_and(|least| least < u32::from(PARTITIONS)) {
            return Err("the whole booking queue is limited to 8 at least, one for each of its partitions");
        }
        Ok(Limits { rate, lanes_at_once: self.lanes_at_once })
    }
}

/// Limits a queue or a lane, or lifts its limits; effective within a second.
#[utoipa::path(post, path = "/api/admin/queue/limits", tag = "operators", request_body = LimitsBody,
    responses((status = 200, body = LimitsBody), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn limit_queue(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<LimitsBody>,
) -> Result<Json<LimitsBody>, Problem> {
    let target = Target::of(body.queue.clone(), body.event_id, body.lane)?;
    let limits = body.read(&target).map_err(|why| Problem::new(Code::Validation, why))?;
    let by = (caller.user, Some(ip));
    match target {
        Target::Bookings(event) => app.operations.set_limits(event, limits, by).await?,
        Target::Named(queue, lane) => app.operations.limit_named((&queue, lane), limits, by).await?,
    }
    Ok(Json(body))
}
