//! `PATCH /api/seats/select`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::domain::{BookingId, SeatId};
use shared::shop::BookingView;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::app::App;
use crate::bookings::{Accepted, await_outcome, check_room, note_refusal};
use crate::caller::{Body, Caller, IdempotencyKey, Spoken};
use crate::limits::CountedIp;
use crate::problem::{Code, Problem, ProblemBody};

/// A seat for a booking.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Must be the caller's open booking of the seat's event.
    #[serde(alias = "booking_id")]
    booking_id: Option<BookingId>,
    #[serde(alias = "seat_id")]
    seat_id: SeatId,
}

/// Takes a seat into the caller's open booking, through the line like everybody: the answer waits for the
/// outcome up to two seconds.
#[utoipa::path(patch, path = "/api/seats/select", tag = "seats", request_body = Selection,
    responses((status = 200, body = BookingView), (status = 202, body = Accepted),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn select_seat(
    State(app): State<App>,
    CountedIp(ip): CountedIp,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Spoken(language): Spoken,
    Body(body): Body<Selection>,
) -> Result<Response, Problem> {
    app.limits.check_write(caller.user)?;
    check_room(&app)?;
    if let Some(id) = body.booking_id {
        check_booking(&app, &caller, id, body.seat_id).await?;
    }
    let booked = app.desk.book_seat(body.seat_id, caller.user, key.as_deref(), Some(ip)).await;
    let seat = || format!("seat {}", body.seat_id);
    let booked = booked.inspect_err(|error| note_refusal(error, seat(), &caller, ip))?;
    if let Some(booking) = await_outcome(&app, &booked, caller.user, language).await? {
        return Ok(Answer(booking).into_response());
    }
    Ok((StatusCode::ACCEPTED, Answer(Accepted::from(booked))).into_response())
}

async fn check_booking(app: &App, caller: &Caller, id: BookingId, seat: SeatId) -> Result<(), Problem> {
    let booking = app.carts.booking(caller.user, id).await?;
    if booking.status != "created" {
        return Err(Problem::new(Code::BookingClosed, format!("This booking is {}", booking.status)));
    }
    if app.catalogue.event_of_seat(seat).await?.is_some_and(|event| event != booking.event_id) {
        return Err(Problem::new(
            Code::SeatOfOtherEvent,
            "The seat belongs to another event than the booking",
        ));
    }
    Ok(())
}
