//! Taking a place in a line, asking where one stands, leaving; bookings opened, listed, cancelled.

mod book;
mod cancel;
mod figures;
mod leave;
mod list;
mod open;
mod queue_ticket;
mod reserve;
mod show;
mod status;

use std::time::{Duration, Instant};

use serde::Serialize;
use shared::domain::{Language, Refusal, UserId};
use shared::shop::{BookError, Booked, BookingView, Status, WaitRange, wait_text};
use std::net::IpAddr;

use shared::seen::{self, Activity};
use shared::store::NewAudit;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::status::answer_at_once;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::{Code, Problem};

/// The paths of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(open::open_booking, list::list_bookings))
        .routes(routes!(cancel::cancel_booking))
        .routes(routes!(leave::leave_queue))
        .routes(routes!(show::show_booking, show::delete_booking))
        .routes(routes!(figures::show_figures))
        .routes(routes!(queue_ticket::leave_queued_ticket))
}

/// Those that take a place in a line.
pub fn lines() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(book::book_event))
        .routes(routes!(reserve::reserve_place))
        .routes(routes!(queue_ticket::queue_ticket))
}

/// Those that ask for a place, answered from memory.
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

/// How long an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked for, in memory.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for the outcome of a job, two seconds at most: the booking it went into, or `None` while it waits on.
///
/// # Errors
/// What the job was refused for, or a store is away.
pub async fn await_outcome(
    app: &App,
    booked: &Booked,
    owner: UserId,
    language: Language,
) -> Result<Option<BookingView>, Problem> {
    let started = Instant::now();
    let job = app.desk.read(&booked.reference)?;
    while started.elapsed() < PATIENCE {
        match app.desk.status_of(&job, Some(owner)).await? {
            Status::Completed { result: Some(won), .. } => {
                return Ok(Some(app.carts.booking(owner, won.booking_id).await?));
            }
            Status::Completed { result: None, .. } => return Err(Problem::plain(Code::Internal)),
            Status::Failed { code, .. } => return Err(refusal(&code, language)),
            Status::Queued { .. } | Status::Processing { .. } => tokio::time::sleep(LOOK).await,
        }
    }
    Ok(None)
}

/// A job's refusal as an error.
pub fn refusal(code: &str, language: Language) -> Problem {
    let refusal = Refusal::from_code(code).unwrap_or(Refusal::Internal);
    let code = match refusal {
        Refusal::SeatTaken => Code::SeatTaken,
        Refusal::SoldOut => Code::SoldOut,
        Refusal::NotEnoughAdjacent => Code::NotEnoughAdjacent,
        Refusal::AlreadyBooked => Code::AlreadyBooked,
        Refusal::LimitReached => Code::LimitReached,
        Refusal::SaleClosed => Code::SaleClosed,
        Refusal::Left => Code::Left,
        Refusal::Removed => Code::Removed,
        Refusal::Internal => Code::Internal,
    };
    Problem::new(code, refusal.text(language))
}

/// Notes a request that is refused before it has a place in a line, for the audit log.
pub fn note_refusal(error: &BookError, object: String, by: &Caller, ip: IpAddr) {
    let result = match error {
        BookError::SeatTaken(_) => Code::SeatTaken.word(),
        BookError::SaleClosed => Code::SaleClosed.word(),
        BookError::TooManyJobs => Code::TooManyJobs.word(),
        BookError::QueueFull => Code::QueueFull.word(),
        BookError::NotFound
        | BookError::SeatOfOtherEvent(_)
        | BookError::NoSuch(_)
        | BookError::AboveLimit(_)
        | BookError::Request(_)
        | BookError::IdempotencyMismatch
        | BookError::Fault(_) => return,
    };
    seen::activity(Activity::Refusal, 1);
    seen::audit(NewAudit { ip: Some(ip), user: Some(by.user), action: "booking.refuse", object, result });
}

/// Redis' watermark: what waits goes on, nothing new is taken in.
pub fn check_room(app: &App) -> Result<(), Problem> {
    if app.is_full() { Err(Problem::plain(Code::QueueFull)) } else { Ok(()) }
}
