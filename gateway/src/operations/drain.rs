//! `POST /api/admin/queue/drain`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::EventId;
use utoipa::ToSchema;

use super::target::Target;
use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Code, Problem, ProblemBody};

/// Jobs that one call ends at most.
const MOST: usize = 1_000;

/// Which lane is drained, that of an event or one of a named queue, or which named queue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainBody {
    /// One event's lane of the booking queue; without it a named queue.
    #[serde(alias = "event_id")]
    event_id: Option<EventId>,
    /// A named queue, such as `messages`.
    queue: Option<String>,
    /// One lane of the named queue; without it all of it.
    #[schema(maximum = 63)]
    lane: Option<u16>,
    /// 1 to 1,000.
    #[serde(default = "most")]
    #[schema(minimum = 1, maximum = 1_000)]
    limit: usize,
}

/// What is drained.
pub(super) enum Drain {
    /// The lane of an event.
    Event(EventId),
    /// A named queue, or one of its lanes.
    Named(String, Option<u16>),
}

impl DrainBody {
    /// What is drained, and how many jobs end at most.
    pub(super) fn read(self) -> Result<(Drain, usize), Problem> {
        let drain = match Target::of(self.queue, self.event_id, self.lane)? {
            Target::Bookings(Some(event)) => Drain::Event(event),
            Target::Named(queue, lane) => Drain::Named(queue, lane),
            Target::Bookings(None) => {
                return Err(Problem::new(Code::Validation, "eventId or queue names what is drained"));
            }
        };
        Ok((drain, self.limit.clamp(1, MOST)))
    }
}

fn most() -> usize {
    MOST
}

/// How far it came.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrainedView {
    /// Ended as `removed`; of bookings, and told.
    removed: u64,
    /// Still there: call again. Of a named queue with those that are being done.
    left: u64,
}

/// Ends jobs that wait or stand by in a lane, or those of a named queue that wait, rest or are for later, oldest first.
/// Pause it first, or those that come meanwhile are served.
#[utoipa::path(post, path = "/api/admin/queue/drain", tag = "operators", request_body = DrainBody,
    responses((status = 200, body = DrainedView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn drain_lane(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<DrainBody>,
) -> Result<Json<DrainedView>, Problem> {
    let (what, limit) = body.read()?;
    let drained = match what {
        Drain::Event(event) => app.operations.drain(event, limit, caller.user, Some(ip)).await?,
        Drain::Named(queue, lane) => {
            app.operations.drain_named((&queue, lane), limit, (caller.user, Some(ip))).await?
        }
    };
    Ok(Json(DrainedView { removed: drained.removed, left: drained.left }))
}
