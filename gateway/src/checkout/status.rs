//! `GET /api/bookings/:id/payment-status`

use axum::Json;
use axum::extract::State;
use shared::domain::BookingId;
use shared::shop::checkout::PaymentStatusView;

use crate::app::App;
use crate::caller::{Caller, ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// How far the payment of a booking has come. While it is open the provider is asked, every two seconds at most, unless
/// it is busy with those who check out.
#[utoipa::path(get, path = "/api/bookings/{id}/payment-status", tag = "checkout", params(("id" = String, Path, description = "The booking")),
    responses((status = 200, body = PaymentStatusView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_payment_status(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(booking): Path<BookingId>,
) -> Result<Json<PaymentStatusView>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Json(app.checkout.payment_status(caller.user, booking).await?))
}
