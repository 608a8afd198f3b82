//! `PATCH /api/seats/release`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use shared::domain::{BookingId, SeatId};
use shared::shop::BookingView;
use shared::store::ClaimedPlace;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, Caller};
use crate::problem::{Problem, ProblemBody};

/// A seat to give back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    #[serde(alias = "booking_id")]
    booking_id: Option<BookingId>,
    #[serde(alias = "seat_id")]
    seat_id: SeatId,
}

/// Gives a seat back, at once.
#[utoipa::path(patch, path = "/api/seats/release", tag = "seats", request_body = Release,
    responses((status = 200, body = BookingView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn release_seat(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Release>,
) -> Result<Json<BookingView>, Problem> {
    app.limits.check_write(caller.user)?;
    let place = ClaimedPlace::Seat(body.seat_id);
    Ok(Json(app.carts.release(caller.user, place, body.booking_id).await?))
}
