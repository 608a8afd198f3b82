//! `POST /api/admin/events/:id/seats`, `POST /api/admin/events/:id/seats/remove`,
//! `DELETE /api/admin/events/:id/seats/:seatId`, `PATCH /api/admin/events/:id/areas/:areaId`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::domain::{AreaId, EventId, SeatId};
use shared::shop::admin::PlacesRemoved;
use shared::store::NewSeat;
use utoipa::ToSchema;

use super::by;
use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path};
use crate::problem::{Problem, ProblemBody};

/// Seats to add; 2,000 at most.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AddedSeatsBody {
    #[schema(min_items = 1, max_items = 2_000)]
    seats: Vec<AddedSeatBody>,
}

/// A seat to add: at the end of its row, which may be new, as may its section.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AddedSeatBody {
    section: String,
    row: String,
    label: String,
    /// The name of a tier that the event has.
    tier: String,
    /// Where it is drawn; beside the others if both are not told.
    x: Option<f32>,
    y: Option<f32>,
}

/// Their ids, in order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedSeats {
    seat_ids: Vec<SeatId>,
}

/// Seats to remove; 2,000 at most.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedSeatsBody {
    #[serde(alias = "seat_ids")]
    #[schema(min_items = 1, max_items = 2_000)]
    seat_ids: Vec<SeatId>,
}

/// Another capacity.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CapacityBody {
    #[schema(minimum = 1, maximum = 200_000)]
    capacity: u32,
}

/// What became of places that were removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedView {
    /// Taken out of somebody's cart; they are told.
    held: usize,
    /// Paid for; they are told, and the money goes back.
    sold: usize,
    /// Still somebody's above an area's new capacity: they are taken away within minutes. Absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
}

impl From<PlacesRemoved> for RemovedView {
    fn from(removed: PlacesRemoved) -> Self {
        let PlacesRemoved { held, sold, left } = removed;
        Self { held, sold, left: Some(left).filter(|left| *left > 0) }
    }
}

fn seat(body: AddedSeatBody) -> NewSeat {
    let AddedSeatBody { section, row, label, tier, x, y } = body;
    NewSeat { section, row, label, tier, at: x.zip(y) }
}

/// Adds seats to an event, on sale or not; all or none.
#[utoipa::path(post, path = "/api/admin/events/{id}/seats", tag = "admin", params(("id" = i64, Path)), request_body = AddedSeatsBody,
    responses((status = 201, body = AddedSeats), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn add_seats(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<EventId>,
    Body(body): Body<AddedSeatsBody>,
) -> Result<(StatusCode, Json<AddedSeats>), Problem> {
    let by = by(&app, admin, ip)?;
    let seats: Vec<NewSeat> = body.seats.into_iter().map(seat).collect();
    let seat_ids = app.administration.add_seats(id, &seats, &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, seats = seat_ids.len(), "seats added");
    Ok((StatusCode::CREATED, Json(AddedSeats { seat_ids })))
}

/// Removes seats of an event, on sale or not; all or none. Whoever had one is told, and gets their money back.
#[utoipa::path(post, path = "/api/admin/events/{id}/seats/remove", tag = "admin", params(("id" = i64, Path)),
    request_body = RemovedSeatsBody,
    responses((status = 200, body = RemovedView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn remove_seats(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path(id): Path<EventId>,
    Body(body): Body<RemovedSeatsBody>,
) -> Result<Json<RemovedView>, Problem> {
    let by = by(&app, admin, ip)?;
    let removed = app.administration.remove_seats(id, &body.seat_ids, &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, seats = body.seat_ids.len(), "seats removed");
    Ok(Json(removed.into()))
}

/// Removes one seat, as `seats/remove` does.
#[utoipa::path(delete, path = "/api/admin/events/{id}/seats/{seat}", tag = "admin", params(("id" = i64, Path), ("seat" = i64, Path)),
    responses((status = 200, body = RemovedView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn remove_seat(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path((id, seat)): Path<(EventId, SeatId)>,
) -> Result<Json<RemovedView>, Problem> {
    let by = by(&app, admin, ip)?;
    let removed = app.administration.remove_seats(id, &[seat], &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, seat.id = seat.0, "seat removed");
    Ok(Json(removed.into()))
}

/// Gives an area another capacity; places above a smaller one are removed as seats are: a thousand at once, the others by the
/// sweeper. Nobody gets one of them any more.
#[utoipa::path(patch, path = "/api/admin/events/{id}/areas/{area}", tag = "admin", params(("id" = i64, Path), ("area" = i64, Path)),
    request_body = CapacityBody,
    responses((status = 200, body = RemovedView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn resize_area(
    State(app): State<App>,
    admin: Admin,
    ip: ClientIp,
    Path((id, area)): Path<(EventId, AreaId)>,
    Body(body): Body<CapacityBody>,
) -> Result<Json<RemovedView>, Problem> {
    let by = by(&app, admin, ip)?;
    let removed = app.administration.resize_area(id, area, body.capacity, &by).await?;
    tracing::info!(event.id = id.0, user.id = by.user.0, area.id = area.0, "area resized");
    Ok(Json(removed.into()))
}
