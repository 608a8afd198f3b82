//! `GET /api/admin/refunds`, `POST /api/admin/refunds/:id/retry`, `POST /api/admin/orders/:id/refund`,
//! `POST /api/admin/events/:id/refund`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::{EventId, Money, OrderId, PaymentId, RefundId};
use shared::store::RefundRecord;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::caller::{Admin, Body, ClientIp, Path, Query};
use crate::checkout::RefundBody;
use crate::problem::{Problem, ProblemBody};

/// Rows in one answer at most.
const MOST: i64 = 1_000;

/// Which refunds are listed.
#[derive(Debug, Deserialize, IntoParams)]
pub struct RefundQuery {
    /// Without it all.
    #[param(inline)]
    status: Option<RefundState>,
    /// 1 to 1,000.
    #[serde(default = "most")]
    #[param(minimum = 1, maximum = 1_000)]
    limit: i64,
}

fn most() -> i64 {
    MOST
}

/// The state of a refund.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefundState {
    /// On its way.
    Pending,
    /// The money is back.
    Completed,
    /// It waits for a person.
    Failed,
}

impl RefundState {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Refunds, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundList {
    items: Vec<RefundView>,
}

/// Money on its way back.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundView {
    id: RefundId,
    order_id: OrderId,
    payment_id: PaymentId,
    amount: Money,
    reason: String,
    /// `pending`, `completed`, `failed`.
    status: String,
    /// How often the provider was asked.
    attempts: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
}

impl From<RefundRecord> for RefundView {
    fn from(record: RefundRecord) -> Self {
        Self {
            id: record.id,
            order_id: record.order,
            payment_id: record.payment,
            amount: record.amount,
            reason: record.reason,
            status: record.status,
            attempts: record.attempts,
            error: record.error,
            created_at: record.created_at,
            finished_at: record.finished_at,
        }
    }
}

/// Refunds in one state, newest first.
#[utoipa::path(get, path = "/api/admin/refunds", tag = "payments", params(RefundQuery),
    responses((status = 200, body = RefundList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_refunds(
    State(app): State<App>,
    Admin(_caller): Admin,
    Query(query): Query<RefundQuery>,
) -> Result<Json<RefundList>, Problem> {
    let refunds = app.refunds.list(query.status.map(RefundState::word), query.limit.clamp(1, MOST)).await?;
    Ok(Json(RefundList { items: refunds.into_iter().map(RefundView::from).collect() }))
}

/// Sends a refund once more that has failed for good.
#[utoipa::path(post, path = "/api/admin/refunds/{id}/retry", tag = "payments", params(("id" = String, Path, description = "The refund")),
    responses((status = 202), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn retry_refund(
    State(app): State<App>,
    Admin(caller): Admin,
    ClientIp(ip): ClientIp,
    Path(refund): Path<RefundId>,
) -> Result<StatusCode, Problem> {
    app.refunds.retry(refund, (caller.user, Some(ip))).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Gives any order back, or some items of it, whatever the rules of its events say.
#[utoipa::path(post, path = "/api/admin/orders/{id}/refund", tag = "payments", request_body = RefundBody,
    params(("id" = String, Path, description = "The order")),
    responses((status = 202), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn refund_any_order(
    State(app): State<App>,
    Admin(caller): Admin,
    ClientIp(ip): ClientIp,
    Path(order): Path<OrderId>,
    Body(body): Body<RefundBody>,
) -> Result<StatusCode, Problem> {
    app.refunds.refund_order(order, body.items()?, (caller.user, Some(ip))).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Gives back all that was paid for an event, some orders at a time; what is not done goes on after any restart.
#[utoipa::path(post, path = "/api/admin/events/{id}/refund", tag = "payments", params(("id" = i64, Path, description = "The event")),
    responses((status = 202), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn refund_event(
    State(app): State<App>,
    Admin(caller): Admin,
    ClientIp(ip): ClientIp,
    Path(event): Path<EventId>,
) -> Result<StatusCode, Problem> {
    app.refunds.refund_event(event, (caller.user, Some(ip))).await?;
    Ok(StatusCode::ACCEPTED)
}
