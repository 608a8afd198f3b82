//! Taking a place in a line, asking where one stands, leaving; bookings opened, listed, cancelled.

mod book;
mod cancel;
mod leave;
mod list;
mod open;
mod queue_ticket;
mod status;

use serde::Serialize;
use shared::domain::Refusal;
use shared::shop::{Booked, WaitRange, wait_text};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Code, Problem};

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(open::open_booking, list::list_bookings))
        .routes(routes!(cancel::cancel_booking))
        .routes(routes!(book::book_event))
        .routes(routes!(leave::leave_queue))
        .routes(routes!(queue_ticket::queue_ticket))
        .routes(routes!(queue_ticket::leave_queued_ticket))
}

/// The polls, answered from memory.
pub fn polls() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(status::show_status))
        .routes(routes!(queue_ticket::show_queued_ticket))
}

/// A place in a line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    message: &'static str,
    /// The job's signed reference.
    job_id: String,
    /// The same.
    queue_id: String,
    /// How many are ahead + 1; 0 when the job is past waiting.
    queue_position: u64,
    /// "6 seconds".
    estimated_wait_time: String,
    /// In seconds.
    wait_range: WaitRange,
    status_endpoint: String,
}

impl From<Booked> for Accepted {
    fn from(booked: Booked) -> Self {
        Self {
            message: if booked.is_new {
                "Booking request queued successfully"
            } else {
                "This booking request is queued already"
            },
            status_endpoint: format!("/api/bookings/status/{}", booked.reference),
            queue_id: booked.reference.clone(),
            job_id: booked.reference,
            queue_position: booked.place,
            estimated_wait_time: wait_text(booked.wait),
            wait_range: booked.wait.into(),
        }
    }
}

/// A job's refusal as an error.
pub fn refusal(code: &str, error: &str) -> Problem {
    let code = match Refusal::from_code(code) {
        Some(Refusal::SeatTaken) => Code::SeatTaken,
        Some(Refusal::SoldOut) => Code::SoldOut,
        Some(Refusal::NotEnoughAdjacent) => Code::NotEnoughAdjacent,
        Some(Refusal::LimitReached) => Code::LimitReached,
        Some(Refusal::SaleClosed) => Code::SaleClosed,
        Some(Refusal::Left) => Code::Left,
        Some(Refusal::Removed) => Code::Removed,
        Some(Refusal::Internal) | None => Code::Internal,
    };
    Problem::new(code, error)
}

/// Redis' watermark: what waits goes on, nothing new is taken in.
pub fn check_room(app: &App) -> Result<(), Problem> {
    if app.is_full() { Err(Problem::plain(Code::QueueFull)) } else { Ok(()) }
}
