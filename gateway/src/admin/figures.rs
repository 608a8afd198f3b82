//! `GET /api/admin/figures`, `GET /api/admin/events/:id/figures`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::{EventId, Money};
use shared::shop::{FiguresError, Report, Sums};
use shared::store::EventFigures;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Operator, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Events in one answer at most.
const EVENTS: i64 = 50;

/// Over which time; without a word the last hour, 7 days at most.
#[derive(Debug, Deserialize, IntoParams)]
pub struct WhenQuery {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

/// What was counted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FiguresView {
    /// Bookings that were made.
    bookings: i64,
    /// Of these, those that are paid by now, whenever that was; money that went back later changes nothing.
    bookings_paid: i64,
    /// Places that were reserved.
    reserved: i64,
    /// Places that came back: given up, or run out.
    released: i64,
    /// Places that were sold.
    sold: i64,
    /// Places whose price went back.
    refunded: i64,
    /// Orders that were paid in this time, whenever their bookings were made.
    orders_paid: i64,
    /// Of the bookings that were made in this time, the share that is paid by now; absent where none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion: Option<f64>,
    /// What was paid, by currency.
    revenue: Vec<Money>,
    /// What of it, or of earlier payments, went back.
    returned: Vec<Money>,
}

impl From<Sums> for FiguresView {
    fn from(sums: Sums) -> Self {
        let returned = |one: &shared::shop::Revenue| Money {
            amount: one.returned_minor,
            currency: one.taken.currency.clone(),
        };
        Self {
            bookings: sums.counts.bookings,
            bookings_paid: sums.counts.bookings_paid,
            reserved: sums.counts.reserved,
            released: sums.counts.released,
            sold: sums.counts.sold,
            refunded: sums.counts.refunded,
            orders_paid: sums.counts.orders_paid,
            conversion: sums.conversion(),
            returned: sums.revenue.iter().filter(|one| one.returned_minor != 0).map(returned).collect(),
            revenue: sums.revenue.into_iter().map(|one| one.taken).collect(),
        }
    }
}

/// One minute.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinuteFigures {
    /// When it began.
    at: DateTime<Utc>,
    #[serde(flatten)]
    figures: FiguresView,
}

/// How an event stands right now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventStanding {
    event_id: EventId,
    event_name: String,
    capacity: i64,
    /// Places that are reserved or being paid for; those that are neither held nor sold are free.
    held: i64,
    /// Places that are sold.
    sold: i64,
    /// What was counted in the time that was asked for.
    reserved: i64,
    released: i64,
    bookings: i64,
    orders_paid: i64,
}

impl From<EventFigures> for EventStanding {
    fn from(event: EventFigures) -> Self {
        Self {
            event_id: event.event,
            event_name: event.name,
            capacity: event.capacity,
            held: event.held,
            sold: event.sold_now,
            reserved: event.counts.reserved,
            released: event.counts.released,
            bookings: event.counts.bookings,
            orders_paid: event.counts.orders_paid,
        }
    }
}

/// Figures over some time, and how events stand now.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiguresReport {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// The event, or those at which most was reserved or sold.
    events: Vec<EventStanding>,
    total: FiguresView,
    /// Minutes in which something was counted, oldest first.
    minutes: Vec<MinuteFigures>,
}

impl From<Report> for FiguresReport {
    fn from(report: Report) -> Self {
        let minutes = report.minutes.into_iter();
        Self {
            from: report.from,
            to: report.to,
            events: report.events.into_iter().map(EventStanding::from).collect(),
            total: report.total.into(),
            minutes: minutes.map(|(at, sums)| MinuteFigures { at, figures: sums.into() }).collect(),
        }
    }
}

impl From<FiguresError> for Problem {
    fn from(error: FiguresError) -> Self {
        match error {
            FiguresError::NotFound => Self::new(Code::NotFound, error.to_string()),
            FiguresError::Times => Self::new(Code::Validation, error.to_string()),
            FiguresError::Fault(fault) => fault.into(),
        }
    }
}

/// Figures of all events together, and how those stand at which most was done; a second or so old.
#[utoipa::path(get, path = "/api/admin/figures", tag = "administration", params(WhenQuery),
    responses((status = 200, body = FiguresReport), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_figures(
    State(app): State<App>,
    _: Operator,
    Query(when): Query<WhenQuery>,
) -> Result<Json<FiguresReport>, Problem> {
    Ok(Json(app.figures.report(None, (when.from, when.to), EVENTS).await?.into()))
}

/// Figures of one event, and how it stands; a second or so old.
#[utoipa::path(get, path = "/api/admin/events/{id}/figures", tag = "administration", params(("id" = i64, Path), WhenQuery),
    responses((status = 200, body = FiguresReport), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_event_figures(
    State(app): State<App>,
    _: Operator,
    Path(event): Path<EventId>,
    Query(when): Query<WhenQuery>,
) -> Result<Json<FiguresReport>, Problem> {
    Ok(Json(app.figures.report(Some(event), (when.from, when.to), 1).await?.into()))
}
