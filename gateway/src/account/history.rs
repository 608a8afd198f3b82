//! `GET /api/account/history`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::{BookingId, EventId, Money, OrderId, OrderItemId, TicketId};
use shared::shop::accounts::{History, HistoryPage};
use shared::store::{HistoryBooking, HistoryOrder, HistoryOrderItem, HistoryTicket};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{ClientIp, Person, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// Which page, of each kind.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
pub struct HistoryQuery {
    /// From 1.
    #[serde(default = "first")]
    #[param(minimum = 1, maximum = 1_000_000)]
    page: u32,
    /// 1 to 100.
    #[serde(default = "usual", alias = "page_size")]
    #[param(minimum = 1, maximum = 100)]
    page_size: u32,
    /// Only tickets with this status.
    #[serde(alias = "ticket_status")]
    #[param(inline)]
    ticket_status: Option<TicketStatus>,
}

fn first() -> u32 {
    1
}

fn usual() -> u32 {
    20
}

/// How a ticket stands.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TicketStatus {
    /// It opens the door.
    Valid,
    /// It was used.
    Used,
    /// Its event is over.
    Expired,
    /// It was given back or taken away.
    Cancelled,
}

impl TicketStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What somebody has booked, ordered and bought: a page of each, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    bookings: BookingHistory,
    orders: OrderHistory,
    tickets: TicketHistory,
    page: u32,
    page_size: u32,
}

/// A page of bookings.
#[derive(Debug, Serialize, ToSchema)]
pub struct BookingHistory {
    items: Vec<PastBooking>,
    total: i64,
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderHistory {
    items: Vec<PastOrder>,
    total: i64,
}

/// A page of tickets.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketHistory {
    items: Vec<PastTicket>,
    total: i64,
}

/// A booking.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastBooking {
    id: BookingId,
    event_id: EventId,
    event_name: String,
    starts_at: DateTime<Utc>,
    /// `created`, `pending_payment`, `paid`, `cancelled`, `expired`.
    status: String,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<DateTime<Utc>>,
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastOrder {
    id: OrderId,
    status: String,
    total: Money,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<DateTime<Utc>>,
    items: Vec<PastOrderItem>,
}

/// One place in an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastOrderItem {
    id: OrderItemId,
    booking_id: BookingId,
    event_id: EventId,
    place: String,
    tier: String,
    price: Money,
    /// `held`, `sold`, `released`, `refunding`, `refunded`.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_id: Option<TicketId>,
}

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastTicket {
    id: TicketId,
    number: String,
    /// `valid`, `used`, `expired`, `cancelled`.
    status: String,
    event_id: EventId,
    event_name: String,
    starts_at: DateTime<Utc>,
    place: String,
    tier: String,
    price: Money,
    order_id: OrderId,
    issued_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<DateTime<Utc>>,
}

impl From<HistoryBooking> for PastBooking {
    fn from(booking: HistoryBooking) -> Self {
        let HistoryBooking { id, event, event_name, starts_at, status, created_at, closed_at } = booking;
        Self { id, event_id: event, event_name, starts_at, status, created_at, closed_at }
    }
}

impl From<HistoryOrder> for PastOrder {
    fn from(order: HistoryOrder) -> Self {
        let HistoryOrder { id, status, total, created_at, paid_at, items } = order;
        let items = items.into_iter().map(PastOrderItem::from).collect();
        Self { id, status, total, created_at, paid_at, items }
    }
}

impl From<HistoryOrderItem> for PastOrderItem {
    fn from(item: HistoryOrderItem) -> Self {
        let HistoryOrderItem { id, booking, event, place, tier, price, status, ticket } = item;
        Self { id, booking_id: booking, event_id: event, place, tier, price, status, ticket_id: ticket }
    }
}

impl From<HistoryTicket> for PastTicket {
    fn from(ticket: HistoryTicket) -> Self {
        Self {
            id: ticket.id,
            number: ticket.number,
            status: ticket.status,
            event_id: ticket.event,
            event_name: ticket.event_name,
            starts_at: ticket.starts_at,
            place: ticket.place,
            tier: ticket.tier,
            price: ticket.price,
            order_id: ticket.order,
            issued_at: ticket.issued_at,
            used_at: ticket.used_at,
        }
    }
}

/// What the caller has booked, ordered and bought.
#[utoipa::path(get, path = "/api/account/history", tag = "account", params(HistoryQuery),
    responses((status = 200, body = HistoryView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_history(
    State(app): State<App>,
    Person(caller): Person,
    ClientIp(ip): ClientIp,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryView>, Problem> {
    app.limits.check_heavy_read(ip)?;
    let HistoryQuery { page, page_size, ticket_status } = query;
    if !(1..=1_000_000).contains(&page) || !(1..=100).contains(&page_size) {
        return Err(Problem::new(Code::Validation, "page must be 1 to 1,000,000 and pageSize 1 to 100"));
    }
    let asked = HistoryPage { page, page_size, ticket_status: ticket_status.map(TicketStatus::word) };
    let History { bookings, orders, tickets } = app.accounts.history(caller.user, &asked).await?;
    Ok(Json(HistoryView {
        bookings: BookingHistory {
            items: bookings.0.into_iter().map(PastBooking::from).collect(),
            total: bookings.1,
        },
        orders: OrderHistory { items: orders.0.into_iter().map(PastOrder::from).collect(), total: orders.1 },
        tickets: TicketHistory {
            items: tickets.0.into_iter().map(PastTicket::from).collect(),
            total: tickets.1,
        },
        page,
        page_size,
    }))
}
