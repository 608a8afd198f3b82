//! What shoppers are shown of their orders.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{AreaId, BookingId, EventId, Money, OrderId, OrderItemId, SeatId};
use crate::store::{ClaimedPlace, OrderItemRecord, OrderRecord, PaymentRecord};

/// Where to pay.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutView {
    /// The order.
    pub order_id: OrderId,
    /// `awaiting_payment`; `paid` when it cost nothing.
    pub status: String,
    /// What is to be paid.
    pub total: Money,
    /// The provider's page; absent when nothing is to be paid any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Until when the places are held.
    pub pay_until: DateTime<Utc>,
    /// How long that is.
    pub remaining_seconds: i64,
}

impl CheckoutView {
    /// An order with the page on which it is paid.
    pub fn new(order: &OrderRecord, redirect_url: Option<String>) -> Self {
        Self {
            order_id: order.id,
            status: order.status.clone(),
            total: order.total.clone(),
            redirect_url,
            pay_until: order.pay_until,
            remaining_seconds: remaining(order),
        }
    }
}

fn remaining(order: &OrderRecord) -> i64 {
    if order.status == "awaiting_payment" { (order.pay_until - order.now).num_seconds().max(0) } else { 0 }
}

/// An order.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// `awaiting_payment`, `expiring`, `paid`, `fulfilled`, `partially_refunded`, `refunded`, `expired`, `cancelled`.
    pub status: String,
    /// What it costs.
    pub total: Money,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it must be paid.
    pub pay_until: DateTime<Utc>,
    /// How long that is; 0 when nothing is to be paid any more.
    pub remaining_seconds: i64,
    /// When it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<DateTime<Utc>>,
    /// What is in it.
    pub items: Vec<OrderItemView>,
    /// How far the latest attempt to pay has come: `creating`, `open`, `authorized`, `captured`, `declined`, `expired`,
    /// `failed`, `reversed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_status: Option<String>,
    /// The provider's page of an open attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
}

/// One place in an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderItemView {
    /// Its id.
    pub id: OrderItemId,
    /// Of which booking.
    pub booking_id: BookingId,
    /// For which event.
    pub event_id: EventId,
    /// Its name.
    pub event_name: String,
    /// A numbered seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_id: Option<SeatId>,
    /// Or an area,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_id: Option<AreaId>,
    /// and the slot in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The place in words.
    pub place: String,
    /// The price's name.
    pub tier: String,
    /// What it cost.
    pub price: Money,
    /// `held`, `sold`, `released`, `refunding`, `refunded`.
    pub status: String,
}

impl From<OrderItemRecord> for OrderItemView {
    fn from(item: OrderItemRecord) -> Self {
        let (seat_id, area_id, slot) = match item.at {
            ClaimedPlace::Seat(seat) => (Some(seat), None, None),
            ClaimedPlace::Slot(area, slot) => (None, Some(area), Some(slot)),
        };
        Self {
            id: item.id,
            booking_id: item.booking,
            event_id: item.event,
            event_name: item.event_name,
            seat_id,
            area_id,
            slot,
            place: item.place,
            tier: item.tier,
            price: item.price,
            status: item.status,
        }
    }
}

/// The page on which an attempt that is open is paid.
pub(super) fn page_of(payment: Option<&PaymentRecord>) -> Option<String> {
    payment.filter(|payment| payment.status == "open").and_then(|payment| payment.redirect_url.clone())
}

impl OrderView {
    /// An order with its items and its latest attempt to pay.
    pub fn new(order: OrderRecord, items: Vec<OrderItemRecord>, payment: Option<&PaymentRecord>) -> Self {
        Self {
            id: order.id,
            remaining_seconds: remaining(&order),
            redirect_url: page_of(payment).filter(|_| order.status == "awaiting_payment"),
            payment_status: payment.map(|payment| payment.status.clone()),
            status: order.status,
            total: order.total,
            created_at: order.created_at,
            pay_until: order.pay_until,
            paid_at: order.paid_at,
            items: items.into_iter().map(OrderItemView::from).collect(),
        }
    }
}

/// How far the payment of a booking has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentStatusView {
    /// The booking.
    pub booking_id: BookingId,
    /// Its status.
    pub booking_status: String,
    /// Its order; absent before checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The order's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_status: Option<String>,
    /// The status of the latest attempt to pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_status: Option<String>,
    /// What is to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The provider's page of an open attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Until when it must be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_until: Option<DateTime<Utc>>,
    /// How long that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_seconds: Option<i64>,
}

impl PaymentStatusView {
    /// A booking with its order, if it has one.
    pub fn new(booking_id: BookingId, booking_status: String, order: Option<OrderView>) -> Self {
        let (order_id, pay_until) = order.as_ref().map(|order| (order.id, order.pay_until)).unzip();
        let remaining_seconds = order.as_ref().map(|order| order.remaining_seconds);
        let amount = order.as_ref().map(|order| order.total.clone());
        let (order_status, payment_status, redirect_url) = order.map_or((None, None, None), |order| {
            (Some(order.status), order.payment_status, order.redirect_url)
        });
        Self {
            booking_id,
            booking_status,
            order_id,
            order_status,
            payment_status,
            amount,
            redirect_url,
            pay_until,
            remaining_seconds,
        }
    }
}
