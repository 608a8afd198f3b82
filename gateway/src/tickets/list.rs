//! `GET /api/tickets`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::shop::TicketView;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Caller, ClientIp, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct TicketPage {
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// 1 to 100.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    page_size: u32,
}

fn first() -> u32 {
    1
}

fn usual() -> u32 {
    20
}

/// Tickets, those issued last first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketList {
    items: Vec<TicketView>,
    page: u32,
    page_size: u32,
    total: u64,
}

/// The caller's tickets.
#[utoipa::path(get, path = "/api/tickets", tag = "tickets", params(TicketPage),
    responses((status = 200, body = TicketList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_tickets(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Query(page): Query<TicketPage>,
) -> Result<Json<TicketList>, Problem> {
    app.limits.check_read(ip)?;
    if !(1..=1_000_000).contains(&page.page) || !(1..=100).contains(&page.page_size) {
        return Err(Problem::new(Code::Validation, "page must be 1 to 1,000,000 and pageSize 1 to 100"));
    }
    let offset = i64::from(page.page - 1) * i64::from(page.page_size);
    let (items, total) = app.tickets.list(caller.user, offset, page.page_size.into()).await?;
    Ok(Json(TicketList { items, page: page.page, page_size: page.page_size, total }))
}
