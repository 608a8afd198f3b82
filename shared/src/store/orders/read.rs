//! Orders, read.

use sqlx::PgConnection;

use super::super::{Store, StoreError};
use super::items::place_of_row;
use super::{OrderItemRecord, OrderRecord, PaymentRecord};
use crate::domain::{BookingId, EventId, Money, OrderId, OrderItemId, PaymentId, UserId};

/// Orders that one answer holds at most.
const PAGE: i64 = 100;

/// An order whose row is locked.
#[derive(Debug, Clone)]
pub(in crate::store) struct LockedOrder {
    pub(in crate::store) id: OrderId,
    pub(in crate::store) user: UserId,
    pub(in crate::store) status: String,
    /// Its time to pay is over.
    pub(in crate::store) is_due: bool,
}

/// Locks an order's row; its clock is read after that.
pub(in crate::store) async fn lock_order(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Option<LockedOrder>, StoreError> {
    let is_there = sqlx::query!("select id from orders where id = $1 for update", order.0)
        .fetch_optional(&mut *connection)
        .await?
        .is_some();
    if !is_there {
        return Ok(None);
    }
    let row = sqlx::query!(
        r#"select user_id, status, pay_until <= clock_timestamp() as "is_due!" from orders where id = $1"#,
        order.0
    )
    .fetch_one(connection)
    .await?;
    Ok(Some(LockedOrder { id: order, user: UserId(row.user_id), status: row.status, is_due: row.is_due }))
}

impl Store {
    /// The latest orders of somebody, or one of them.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn orders(&self, user: UserId, only: Option<OrderId>) -> Result<Vec<OrderRecord>, StoreError> {
        self.read_orders(Some(user), only).await
    }

    /// An order, whoever's it is.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn order(&self, order: OrderId) -> Result<Option<OrderRecord>, StoreError> {
        Ok(self.read_orders(None, Some(order)).await?.pop())
    }

    async fn read_orders(
        &self,
        user: Option<UserId>,
        only: Option<OrderId>,
    ) -> Result<Vec<OrderRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, user_id, status, currency, total_minor, pay_until, created_at, paid_at,
                   clock_timestamp() as "now!"
               from orders
               where ($1::bigint is null or user_id = $1) and ($2::uuid is null or id = $2)
               order by created_at desc, id desc limit $3"#,
            user.map(|user| user.0),
            only.map(|only| only.0),
            PAGE
        )
        .fetch_all(&self.pool)
        .await?;
        let orders = rows.into_iter().map(|row| OrderRecord {
            id: OrderId(row.id),
            user: UserId(row.user_id),
            status: row.status,
            total: Money { amount: row.total_minor, currency: row.currency },
            pay_until: row.pay_until,
            created_at: row.created_at,
            paid_at: row.paid_at,
            now: row.now,
        });
        Ok(orders.collect())
    }

    /// The items of orders, in their order.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn order_items(&self, orders: &[OrderId]) -> Result<Vec<OrderItemRecord>, StoreError> {
        let ids: Vec<uuid::Uuid> = orders.iter().map(|order| order.0).collect();
        let rows = sqlx::query!(
            "select i.id, i.order_id, i.booking_id, i.event_id, e.name, i.seat_id, i.area_id, i.slot, i.place,
                 i.tier_name, i.price_minor, o.currency, i.status
             from order_items i join orders o on o.id = i.order_id join events e on e.id = i.event_id
             where i.order_id = any($1) order by i.order_id, i.id",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let items = rows.into_iter().map(|row| {
            Ok(OrderItemRecord {
                id: OrderItemId(row.id),
                order: OrderId(row.order_id),
                booking: BookingId(row.booking_id),
                event: EventId(row.event_id),
                event_name: row.name,
                at: place_of_row(row.seat_id, row.area_id, row.slot)?,
                place: row.place,
                tier: row.tier_name,
                price: Money { amount: row.price_minor, currency: row.currency },
                status: row.status,
            })
        });
        items.collect()
    }

    /// The attempts to pay an order, newest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn payments_of(&self, order: OrderId) -> Result<Vec<PaymentRecord>, StoreError> {
        let rows = sqlx::query!(
            "select id, provider, provider_ref, status, amount_minor, currency, redirect_url, failure
             from payments where order_id = $1 order by id desc limit 100",
            order.0
        )
        .fetch_all(&self.pool)
        .await?;
        let payments = rows.into_iter().map(|row| PaymentRecord {
            id: PaymentId(row.id),
            order,
            provider: row.provider,
            reference: row.provider_ref,
            status: row.status,
            amount: Money { amount: row.amount_minor, currency: row.currency },
            redirect_url: row.redirect_url,
            failure: row.failure,
        });
        Ok(payments.collect())
    }

    /// The e-mail address and language of whoever pays.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn payer(&self, user: UserId) -> Result<Option<(String, String)>, StoreError> {
        let row = sqlx::query!("select email, language from users where id = $1", user.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| (row.email, row.language)))
    }
}
