//! `GET /api/orders`, `GET /api/orders/:id`, and what their owner does to them: `pay`, `cancel`, `refund`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::{OrderId, OrderItemId};
use shared::shop::checkout::{CheckoutView, OrderView};
use utoipa::ToSchema;

use super::refuse;
use crate::app::App;
use crate::caller::{Body, Caller, ClientIp, Path};
use crate::problem::{Code, Problem, ProblemBody};

/// Items that one request names at most.
const MOST: usize = 200;

/// The latest hundred, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderList {
    items: Vec<OrderView>,
}

/// What goes back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefundBody {
    /// These items; without them all that are left.
    #[serde(alias = "item_ids")]
    item_ids: Option<Vec<OrderItemId>>,
}

impl RefundBody {
    /// The items, as many as one may name.
    pub fn items(&self) -> Result<Option<&[OrderItemId]>, Problem> {
        match self.item_ids.as_deref() {
            Some(items) if items.is_empty() || items.len() > MOST => {
                Err(Problem::new(Code::Validation, format!("itemIds must be 1 to {MOST} items")))
            }
            items => Ok(items),
        }
    }
}

/// The caller's orders.
#[utoipa::path(get, path = "/api/orders", tag = "checkout",
    responses((status = 200, body = OrderList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_orders(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
) -> Result<Json<OrderList>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Json(OrderList { items: app.checkout.orders(caller.user).await? }))
}

/// One order of the caller's.
#[utoipa::path(get, path = "/api/orders/{id}", tag = "checkout", params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = OrderView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_order(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(order): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    app.limits.check_read(ip)?;
    Ok(Json(app.checkout.order(caller.user, order).await?))
}

/// The page on which an order is paid: the one that is open, or another one after a decline.
#[utoipa::path(post, path = "/api/orders/{id}/pay", tag = "checkout", params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = CheckoutView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn pay_order(
    State(app): State<App>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    Path(order): Path<OrderId>,
) -> Result<Json<CheckoutView>, Problem> {
    app.limits.check_write(caller.user)?;
    let buyer = caller.buyer(ip);
    let page = app.checkout.pay(buyer.user, order).await;
    Ok(Json(page.map_err(|error| refuse(error, format!("order {order}"), buyer))?))
}

/// Cancels an order that is not paid; its places return at once. If it is paid all the same, the money goes back.
#[utoipa::path(post, path = "/api/orders/{id}/cancel", tag = "checkout", params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = OrderView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn cancel_order(
    State(app): State<App>,
    caller: Caller,
    Path(order): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    app.limits.check_write(caller.user)?;
    Ok(Json(app.checkout.cancel(caller.user, order).await?))
}

/// Gives an order back, or some items of it, as long as its events permit it: the tickets are revoked at once, the money
/// follows.
#[utoipa::path(post, path = "/api/orders/{id}/refund", tag = "checkout", request_body = RefundBody,
    params(("id" = String, Path, description = "The order")),
    responses((status = 200, body = OrderView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn refund_order(
    State(app): State<App>,
    caller: Caller,
    Path(order): Path<OrderId>,
    Body(body): Body<RefundBody>,
) -> Result<Json<OrderView>, Problem> {
    app.limits.check_write(caller.user)?;
    app.refunds.refund_own(caller.user, order, body.items()?).await?;
    Ok(Json(app.checkout.order(caller.user, order).await?))
}
