//! `POST /api/checkin`

use axum::Json;
use axum::extract::State;
use shared::shop::CheckedIn;

use super::{ScanBody, check_in_all};
use crate::app::App;
use crate::caller::{Body, ClientIp, Scanner};
use crate::problem::{Code, Problem, ProblemBody};

/// Uses a ticket. It works once: a second time is 409 `already_used`, with `usedAt` and `gate`.
#[utoipa::path(post, path = "/api/checkin", tag = "check-in", request_body = ScanBody,
    responses((status = 200, body = CheckedIn), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn check_in(
    State(app): State<App>,
    Scanner(caller): Scanner,
    ClientIp(ip): ClientIp,
    Body(body): Body<ScanBody>,
) -> Result<Json<CheckedIn>, Problem> {
    // Not the budget of writes: more than a hundred a minute come through a door.
    app.limits.check_read(ip)?;
    let scan = body.parse()?;
    let event = scan.event;
    let answer = check_in_all(&app, (caller, ip), &[scan]).await?.pop();
    let entered = answer.ok_or_else(|| Problem::plain(Code::Internal))??;
    tracing::info!(event.id = event.0, ticket.id = %entered.ticket_id, "ticket was used");
    Ok(Json(entered))
}
