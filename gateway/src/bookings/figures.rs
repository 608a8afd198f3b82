//! `GET /metrics/:id`

use axum::Json;
use axum::extract::State;
use shared::domain::UserId;
use shared::store::BookingFigures;

use crate::app::App;
use crate::caller::{Caller, ClientIp, Path};
use crate::problem::{Code, Problem, ProblemBody};

/// How much somebody has booked; for themselves and for admins.
#[utoipa::path(get, path = "/metrics/{id}", tag = "bookings", params(("id" = i64, Path, description = "The user")),
    responses((status = 200, body = BookingFigures), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_figures(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(user): Path<UserId>,
) -> Result<Json<BookingFigures>, Problem> {
    app.limits.check_read(ip)?;
    if user != caller.user && !caller.is_admin(&app) {
        return Err(Problem::plain(Code::NotOwner));
    }
    Ok(Json(app.carts.figures(user).await?))
}
