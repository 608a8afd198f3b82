//! `POST /api/bookings`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shared::domain::EventId;
use shared::shop::BookingView;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Body, Caller, ClientIp};
use crate::problem::{Problem, ProblemBody};

/// For which event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewBooking {
    #[serde(alias = "event_id")]
    event_id: EventId,
}

/// Opens an empty booking, or answers with the open one: there is one open booking a shopper and event.
#[utoipa::path(post, path = "/api/bookings", tag = "bookings", request_body = NewBooking,
    responses((status = 201, body = BookingView), (status = 200, body = BookingView),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn open_booking(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Body(body): Body<NewBooking>,
) -> Result<(StatusCode, Json<BookingView>), Problem> {
    app.limits.check_write(caller.user)?;
    let (booking, is_new) = app.carts.open(body.event_id, caller.user, Some(ip)).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(booking)))
}
