//! `GET /api/tickets/:id`

use axum::Json;
use axum::extract::State;
use shared::domain::TicketId;
use shared::shop::TicketView;

use crate::app::App;
use crate::caller::{Caller, ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// One ticket of the caller; with its code while it is valid. Admins see everybody's, without the code.
#[utoipa::path(get, path = "/api/tickets/{id}", tag = "tickets", params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, body = TicketView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_ticket(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(id): Path<TicketId>,
) -> Result<Json<TicketView>, Problem> {
    app.limits.check_read(ip)?;
    let own = app.tickets.show(id, Some(caller.user)).await;
    if own.is_err() && caller.is_admin(&app) {
        return Ok(Json(app.tickets.show(id, None).await?));
    }
    Ok(Json(own?))
}
