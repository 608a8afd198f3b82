//! `GET /api/bookings`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::shop::BookingView;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Caller, ClientIp};
use crate::problem::{Problem, ProblemBody};

/// The latest hundred, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct BookingList {
    items: Vec<BookingView>,
}

/// The caller's bookings.
#[utoipa::path(get, path = "/api/bookings", tag = "bookings",
    responses((status = 200, body = BookingList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_bookings(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<Json<BookingList>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Json(BookingList { items: app.carts.bookings(caller.user).await? }))
}
