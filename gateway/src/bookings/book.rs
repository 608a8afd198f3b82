//! `POST /api/bookings/:id/book`

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shared::domain::{AreaId, BookingRequest, EventId, SeatId, SectionId, TierId, Wanted};
use utoipa::ToSchema;

use super::{Accepted, check_room, note_refusal};
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Body, Caller, IdempotencyKey, Path};
use crate::limits::CountedIp;
use crate::problem::{Code, Problem, ProblemBody};

/// What is wanted: seats by name, or how many and where.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookBody {
    /// These very seats, all or none.
    #[serde(alias = "seat_ids")]
    seat_ids: Option<Vec<SeatId>>,
    /// Or so many of the best, one without a number: seats, and where not so many are left, places in an area.
    quantity: Option<u32>,
    #[serde(alias = "tier_id")]
    tier_id: Option<TierId>,
    #[serde(alias = "section_id")]
    section_id: Option<SectionId>,
    /// Or so many in a general-admission area.
    #[serde(alias = "area_id")]
    area_id: Option<AreaId>,
    /// Refuse rather than split a group.
    #[serde(default)]
    adjacent: bool,
    /// `any`: the best available when a named seat is gone, or when there is nothing of that tier or section, or nothing
    /// side by side.
    fallback: Option<Fallback>,
    /// Wait for a returned seat when everything is held.
    #[serde(default)]
    standby: bool,
}

/// What to do when there is nothing like what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// Take the best available.
    Any,
    /// Refuse.
    None,
}

/// Takes a place in an event's line.
#[utoipa::path(post, path = "/api/bookings/{id}/book", tag = "bookings", params(("id" = i64, Path, description = "The event")),
    request_body = BookBody,
    responses((status = 202, body = Accepted), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn book_event(
    State(app): State<App>,
    CountedIp(ip): CountedIp,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Path(event): Path<EventId>,
    Body(body): Body<BookBody>,
) -> Result<(StatusCode, Answer<Accepted>), Problem> {
    app.limits.check_write(caller.user)?;
    check_room(&app)?;
    let booked = app.desk.book(event, caller.user, parse(body)?, key.as_deref(), Some(ip)).await;
    let booked = booked.inspect_err(|error| note_refusal(error, format!("event {event}"), &caller, ip))?;
    Ok((StatusCode::ACCEPTED, Answer(booked.into())))
}

/// What is asked for. It depends on the body alone, so that the same body is the same request, whatever is free by then.
fn parse(body: BookBody) -> Result<BookingRequest, Problem> {
    let refuse = |detail: &str| Problem::new(Code::Validation, detail);
    let is_flexible = body.fallback == Some(Fallback::Any);
    let is_chosen = body.seat_ids.is_none() && body.area_id.is_none();
    if !is_chosen && (body.tier_id.is_some() || body.section_id.is_some() || body.adjacent) {
        return Err(refuse("tierId, sectionId and adjacent are for seats that Usher chooses"));
    }
    let quantity = body.quantity.or(body.seat_ids.is_none().then_some(1));
    let mut request = match (body.seat_ids, quantity, body.area_id) {
        (Some(seats), None, None) => BookingRequest::named(seats, is_flexible),
        (None, Some(_), Some(_)) if is_flexible => {
            return Err(refuse("a fallback is for seats; an area has none"));
        }
        (None, Some(quantity), Some(area)) => BookingRequest::chosen(Wanted::Area { area, quantity }),
        (None, Some(quantity), None) => BookingRequest::chosen(Wanted::Best {
            quantity,
            tier: body.tier_id,
            section: body.section_id,
            adjacent: body.adjacent,
            or_any: is_flexible,
        }),
        (Some(_), ..) => return Err(refuse("give either seatIds or a quantity, not both")),
        (None, None, _) => return Err(refuse("give seatIds, or a quantity")),
    }
    .map_err(|error| refuse(&error.to_string()))?;
    request.standby = body.standby;
    Ok(request)
}
