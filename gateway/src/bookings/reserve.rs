//! `POST /api/bookings/reserve`

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::domain::{AreaId, BookingRequest, EventId, UserId, Wanted};
use shared::seen;
use shared::shop::BookingView;
use shared::shop::checkout::{Buyer, CheckoutError};
use shared::store::{Basket, NewAudit};
use utoipa::ToSchema;

use super::{Accepted, await_outcome, check_room, note_refusal};
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Body, Caller, IdempotencyKey, Spoken};
use crate::checkout::refuse;
use crate::limits::CountedIp;
use crate::problem::{Code, Problem, ProblemBody};

/// A place at an event, whichever.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewReservation {
    #[serde(rename = "eventId", alias = "event_id")]
    event: EventId,
    /// Whose it will be: an id or a login name. The caller's own, but for admins and services.
    #[serde(rename = "userId", alias = "user_id")]
    user: Option<Person>,
    /// In which area; without one, on the best seat, or where none is free in the first area that has room.
    #[serde(rename = "areaId", alias = "area_id")]
    area: Option<AreaId>,
}

/// Somebody, by id or by login name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Person {
    /// Their id.
    Id(UserId),
    /// Their id in digits, their login name, or their e-mail address.
    Name(String),
}

/// What the audit log calls it when somebody takes a place in a line for another one.
const FOR_ANOTHER: &str = "booking.reserve_for";

/// Takes a place through the line like everybody, and waits for the outcome up to two seconds.
#[utoipa::path(post, path = "/api/bookings/reserve", tag = "bookings", request_body = NewReservation,
    responses((status = 201, body = BookingView), (status = 202, body = Accepted),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn reserve_place(
    State(app): State<App>,
    CountedIp(ip): CountedIp,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Spoken(language): Spoken,
    Body(body): Body<NewReservation>,
) -> Result<Response, Problem> {
    app.limits.check_write(caller.user)?;
    check_room(&app)?;
    let owner = owner(&app, &caller, body.user).await;
    let owner = owner.inspect_err(|problem| note_presumption(problem, body.event, &caller, ip))?;
    let whose = if owner == caller.user { String::new() } else { format!(" for user {owner}") };
    let request = one_place(body.area)?;
    let booked = app.desk.book(body.event, owner, request, key.as_deref(), Some(ip)).await;
    let object = || format!("event {}{whose}", body.event);
    let booked = booked.inspect_err(|error| note_refusal(error, object(), &caller, ip))?;
    if owner != caller.user {
        // Before the outcome is waited for: hanging up meanwhile leaves no less of a trace.
        let object = format!("job {} of {}", booked.number, object());
        app.store.insert_audit(Some(ip), Some(caller.user), FOR_ANOTHER, &object, "done").await?;
    }
    Ok(match await_outcome(&app, &booked, owner, language).await? {
        Some(booking) => {
            (StatusCode::CREATED, Answer(bought(&app, booking, owner, ip).await?)).into_response()
        }
        None => (StatusCode::ACCEPTED, Answer(Accepted::from(booked))).into_response(),
    })
}

/// Notes who wanted to act for another one and may not, for the audit log.
fn note_presumption(problem: &Problem, event: EventId, by: &Caller, ip: IpAddr) {
    if problem.code == Code::NotOwner {
        let (object, result) = (format!("event {event}"), problem.code.word());
        seen::audit(NewAudit { ip: Some(ip), user: Some(by.user), action: FOR_ANOTHER, object, result });
    }
}

/// A booking that costs nothing is bought at once; any other stays as it is.
async fn bought(app: &App, booking: BookingView, user: UserId, ip: IpAddr) -> Result<BookingView, Problem> {
    if booking.total.as_ref().is_none_or(|total| total.amount > 0) {
        return Ok(booking);
    }
    let buyer = Buyer { user, ip: Some(ip) };
    match app.checkout.check_out(buyer, Basket::Booking(booking.id)).await {
        // The worker may have been faster.
        Ok(_) | Err(CheckoutError::BookingClosed(_)) => Ok(app.carts.booking(user, booking.id).await?),
        Err(error) => Err(refuse(error, format!("booking {}", booking.id), buyer)),
    }
}

/// Who gets the place, if the caller may say so.
async fn owner(app: &App, caller: &Caller, person: Option<Person>) -> Result<UserId, Problem> {
    let known = match person {
        None => return Ok(caller.user),
        Some(Person::Id(id)) => app.store.credentials_of(id).await?,
        Some(Person::Name(name)) => match name.parse() {
            Ok(id) => app.store.credentials_of(UserId(id)).await?,
            Err(_) => app.store.credentials(&name.trim().to_lowercase()).await?,
        },
    };
    match known.map(|user| user.id) {
        Some(id) if caller.may_act_for(app, id) => Ok(id),
        // Nobody learns here who has an account, but those who may know.
        None if caller.may_act_for(app, UserId(0)) => {
            Err(Problem::new(Code::NotFound, "There is nobody of this name"))
        }
        Some(_) | None => Err(Problem::plain(Code::NotOwner)),
    }
}

/// One place: in the area that was named, or the best.
fn one_place(area: Option<AreaId>) -> Result<BookingRequest, Problem> {
    let wanted = match area {
        Some(area) => Wanted::Area { area, quantity: 1 },
        None => Wanted::Best { quantity: 1, tier: None, section: None, adjacent: false, or_any: false },
    };
    BookingRequest::chosen(wanted).map_err(|error| Problem::new(Code::Validation, error.to_string()))
}
