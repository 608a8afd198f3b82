//! `POST /tickets/:id/queue`, `GET` and `DELETE /tickets/queue/:id`

use axum::extract::State;
use axum::http::StatusCode;
use shared::domain::SeatId;
use shared::shop::Status;

use super::{Accepted, check_room, note_refusal};
use crate::answer::Answer;
use crate::app::App;
use crate::caller::{Caller, ClientIp, IdempotencyKey, MaybeCaller, Path};
use crate::limits::CountedIp;
use crate::problem::{Problem, ProblemBody};

/// Takes a place in the line for one seat.
#[utoipa::path(post, path = "/tickets/{id}/queue", tag = "tickets", params(("id" = i64, Path, description = "The seat")),
    responses((status = 202, body = Accepted), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn queue_ticket(
    State(app): State<App>,
    CountedIp(ip): CountedIp,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Path(seat): Path<SeatId>,
) -> Result<(StatusCode, Answer<Accepted>), Problem> {
    app.limits.check_write(caller.user)?;
    check_room(&app)?;
    let booked = app.desk.book_seat(seat, caller.user, key.as_deref(), Some(ip)).await;
    let booked = booked.inspect_err(|error| note_refusal(error, format!("seat {seat}"), &caller, ip))?;
    Ok((StatusCode::ACCEPTED, Answer(booked.into())))
}

/// Where a job stands.
#[utoipa::path(get, path = "/tickets/queue/{id}", tag = "tickets", params(("id" = String, Path, description = "The job's reference")),
    responses((status = 200, body = Status), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_queued_ticket(
    State(app): State<App>,
    MaybeCaller(caller): MaybeCaller,
    ClientIp(ip): ClientIp,
    Path(reference): Path<String>,
) -> Result<Answer<Status>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Answer(app.desk.status(&reference, caller.map(|caller| caller.user)).await?))
}

/// Leaves the line.
#[utoipa::path(delete, path = "/tickets/queue/{id}", tag = "tickets", params(("id" = String, Path, description = "The job's reference")),
    responses((status = 200, body = Status), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn leave_queued_ticket(
    State(app): State<App>,
    caller: Caller,
    Path(reference): Path<String>,
) -> Result<Answer<Status>, Problem> {
    app.limits.check_write(caller.user)?;
    Ok(Answer(app.desk.leave(&reference, caller.user).await?))
}
