//! `POST /api/admin/queue/obliterate`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::drain::{Drain, DrainBody};
use crate::app::App;
use crate::caller::{Body, ClientIp, Operator};
use crate::problem::{Problem, ProblemBody};

/// How far it came.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObliteratedView {
    /// Ended as `removed`; of bookings, and told.
    removed: u64,
    /// Still there: call again.
    left: u64,
    /// Nothing is kept of the lane, or of all lanes of a named queue, in Redis any more but a pause and what keeps numbers and
    /// fences rising. False while somebody is in it, being decided included.
    obliterated: bool,
}

/// Drains a lane, or a named queue, and forgets it, finished jobs and history included; outcomes stay in PostgreSQL. Pause it
/// first.
#[utoipa::path(post, path = "/api/admin/queue/obliterate", tag = "operators", request_body = DrainBody,
    responses((status = 200, body = ObliteratedView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn obliterate_lane(
    State(app): State<App>,
    Operator(caller): Operator,
    ClientIp(ip): ClientIp,
    Body(body): Body<DrainBody>,
) -> Result<Json<ObliteratedView>, Problem> {
    let (what, limit) = body.read()?;
    let (drained, obliterated) = match what {
        Drain::Event(event) => app.operations.obliterate(event, limit, caller.user, Some(ip)).await?,
        Drain::Named(queue, lane) => {
            app.operations.obliterate_named((&queue, lane), limit, (caller.user, Some(ip))).await?
        }
    };
    Ok(Json(ObliteratedView { removed: drained.removed, left: drained.left, obliterated }))
}
