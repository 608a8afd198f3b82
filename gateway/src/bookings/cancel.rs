//! `PATCH /api/bookings/cancel`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use shared::domain::BookingId;
use shared::shop::BookingView;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, Caller, ClientIp};
use crate::problem::{Problem, ProblemBody};

/// Which booking.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    #[serde(alias = "booking_id")]
    booking_id: BookingId,
}

/// Cancels a booking; its seats return at once. One that is being paid for is cancelled with all of its order.
#[utoipa::path(patch, path = "/api/bookings/cancel", tag = "bookings", request_body = Cancellation,
    responses((status = 200, body = BookingView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn cancel_booking(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Body(body): Body<Cancellation>,
) -> Result<Json<BookingView>, Problem> {
    app.limits.check_write(caller.user)?;
    Ok(Json(app.checkout.cancel_booking(caller.buyer(ip), body.booking_id).await?))
}
