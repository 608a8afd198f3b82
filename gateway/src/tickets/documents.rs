//! `GET /api/tickets/:id/pdf`, `…/calendar`, `…/qr`: for the owner only.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::domain::{Language, TicketId};
use shared::shop::Printed;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Caller, ClientIp, Path, Query};
use crate::problem::{Problem, ProblemBody};

/// How a ticket is printed.
#[derive(Debug, Deserialize, IntoParams)]
pub struct PdfQuery {
    /// For paper or for a screen.
    #[serde(default)]
    #[param(inline)]
    format: Sheet,
    /// The account's language where absent.
    #[param(inline)]
    language: Option<Language>,
}

/// In which language.
#[derive(Debug, Deserialize, IntoParams)]
pub struct LanguageQuery {
    /// The account's language where absent.
    #[param(inline)]
    language: Option<Language>,
}

/// What a page is for.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sheet {
    /// Paper.
    #[default]
    A4,
    /// A telephone's screen.
    Phone,
}

/// A ticket as PDF.
#[utoipa::path(get, path = "/api/tickets/{id}/pdf", tag = "tickets",
    params(("id" = TicketId, Path, description = "The ticket"), PdfQuery),
    responses((status = 200, content_type = "application/pdf", body = Vec<u8>),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn print_ticket(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(id): Path<TicketId>,
    Query(query): Query<PdfQuery>,
) -> Result<Response, Problem> {
    app.limits.check_heavy_read(ip)?;
    let format = match query.format {
        Sheet::A4 => "a4",
        Sheet::Phone => "phone",
    };
    let how = (format, query.language);
    Ok(file(app.tickets.print(id, caller.user, how).await?, "attachment"))
}

/// A ticket's event as a calendar file.
#[utoipa::path(get, path = "/api/tickets/{id}/calendar", tag = "tickets",
    params(("id" = TicketId, Path, description = "The ticket"), LanguageQuery),
    responses((status = 200, content_type = "text/calendar", body = String),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn print_calendar(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(id): Path<TicketId>,
    Query(query): Query<LanguageQuery>,
) -> Result<Response, Problem> {
    app.limits.check_read(ip)?;
    let how = ("calendar", query.language);
    Ok(file(app.tickets.print(id, caller.user, how).await?, "attachment"))
}

/// A ticket's QR code as SVG.
#[utoipa::path(get, path = "/api/tickets/{id}/qr", tag = "tickets",
    params(("id" = TicketId, Path, description = "The ticket")),
    responses((status = 200, content_type = "image/svg+xml", body = String),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn draw_qr(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(id): Path<TicketId>,
) -> Result<Response, Problem> {
    app.limits.check_read(ip)?;
    Ok(file(app.tickets.print(id, caller.user, ("qr", None)).await?, "inline"))
}

/// A document that nobody else may keep.
fn file(printed: Printed, disposition: &str) -> Response {
    let name =
        format!("{disposition}; filename=\"ticket-{}.{}\"", printed.number, printed.document.extension);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(printed.document.media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    (headers, printed.document.bytes).into_response()
}
