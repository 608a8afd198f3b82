//! `GET /api/bookings/:id`, `DELETE /api/bookings/:id`

use axum::Json;
use axum::extract::State;
use shared::domain::BookingId;
use shared::shop::BookingView;

use crate::app::App;
use crate::caller::{Caller, ClientIp, Path};
use crate::problem::{Code, Problem, ProblemBody};

/// One booking, for its owner and for admins.
#[utoipa::path(get, path = "/api/bookings/{id}", tag = "bookings", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = BookingView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_booking(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(id): Path<BookingId>,
) -> Result<Json<BookingView>, Problem> {
    app.limits.check_read(ip)?;
    let (owner, booking) = app.carts.any_booking(id).await?;
    if owner != caller.user && !caller.is_admin(&app) {
        return Err(Problem::new(Code::NotFound, "There is no such booking of yours"));
    }
    Ok(Json(booking))
}

/// Cancels a booking that is not paid; its seats return at once. The booking as it is afterwards.
#[utoipa::path(delete, path = "/api/bookings/{id}", tag = "bookings", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = BookingView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn delete_booking(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(id): Path<BookingId>,
) -> Result<Json<BookingView>, Problem> {
    app.limits.check_write(caller.user)?;
    Ok(Json(app.checkout.cancel_booking(caller.buyer(ip), id).await?))
}
