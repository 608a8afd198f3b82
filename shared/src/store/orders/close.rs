//! Orders that come to nothing.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::claims::{Why, record_freed};
use super::super::payments::close_payments;
use super::super::{Freed, Store, StoreError};
use super::items::{free_items, lock_bookings, mark_items, read_items};
use super::read::{LockedOrder, lock_order};
use super::sell::{NewFacts, append_order_facts};
use crate::domain::{OrderId, UserId};
use crate::messages::{self, Message, Outgoing, Recipient};

/// Seconds until an order that could not be ended is looked at again, twice as long each time,
const FIRST_REST_S: f64 = 1.0;
/// and at most.
const LONGEST_REST_S: f64 = 15.0;

/// What became of cancelling or expiring an order.
#[derive(Debug)]
pub enum Closing {
    /// It is closed now, and these places came free.
    Closed(Vec<Freed>),
    /// It was closed in the same way before.
    Before,
    /// It has come to something else: its status.
    Not(String),
    /// There is no such order of theirs.
    NotFound,
}

impl Store {
    /// Cancels an order that is not paid, with all its bookings. Open attempts to pay are closed; the provider is told
    /// about them afterwards, by whoever asks or by the next poll.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn cancel_order(&self, user: UserId, order: OrderId) -> Result<Closing, StoreError> {
        let mut tx = self.begin().await?;
        let Some(locked) = lock_order(&mut tx, order).await?.filter(|order| order.user == user) else {
            return Ok(Closing::NotFound);
        };
        match locked.status.as_str() {
            "awaiting_payment" | "expiring" => {}
            "cancelled" => return Ok(Closing::Before),
            _ => return Ok(Closing::Not(locked.status)),
        }
        close_payments(&mut tx, order, None).await?;
        let freed = cancel_order_rows(&mut tx, &locked, "by_shopper").await?;
        tx.commit().await?;
        Ok(Closing::Closed(freed))
    }

    /// Orders whose time to pay is over, that are not closed and that it is time to look at, oldest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn due_orders(&self, at_most: i64) -> Result<Vec<OrderId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "select id from orders
             where status in ('awaiting_payment', 'expiring') and pay_until <= statement_timestamp()
                 and (next_expiry_at is null or next_expiry_at <= statement_timestamp())
             order by pay_until limit $1",
            at_most
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(OrderId).collect())
    }

    /// Begins to expire an order whose time to pay is over: its places are kept until the provider has been asked, for so
    /// many seconds after that time at most. It is put off at the same time, twice as long each time and not beyond the end
    /// of those seconds, so that two who look do not ask both. False when there is nothing to expire now.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_expiry(&self, order: OrderId, grace_s: u32) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let Some(locked) = lock_order(&mut tx, order).await?.filter(|order| order.is_due) else {
            return Ok(false);
        };
        if !["awaiting_payment", "expiring"].contains(&locked.status.as_str()) {
            return Ok(false);
        }
        let begun = sqlx::query!(
            "update orders
             set status = 'expiring', expiry_tries = expiry_tries + 1,
                 next_expiry_at = least(
                     clock_timestamp() + make_interval(secs => least($3 * 2 ^ least(expiry_tries, 10), $4)),
                     greatest(pay_until + make_interval(secs => $2), clock_timestamp() + make_interval(secs => $3)))
             where id = $1 and (next_expiry_at is null or next_expiry_at <= clock_timestamp())",
            order.0,
            f64::from(grace_s),
            FIRST_REST_S,
            LONGEST_REST_S
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(begun.rows_affected() == 1)
    }

    /// Whether the provider has had so many seconds, after the time to pay was over, to say what became of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn is_grace_over(&self, order: OrderId, grace_s: u32) -> Result<bool, StoreError> {
        let is_over = sqlx::query_scalar!(
            r#"select pay_until + make_interval(secs => $2) <= clock_timestamp() as "is_over!"
               from orders where id = $1"#,
            order.0,
            f64::from(grace_s)
        );
        Ok(is_over.fetch_optional(&self.pool).await?.unwrap_or(true))
    }

    /// Expires an order that is expiring; with `is_certain` false, because a page cannot be closed or the provider does not
    /// say, attempts that are still open are closed on our side and looked at further: if one of them succeeds after all,
    /// it is treated as late.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn expire_order(&self, order: OrderId, is_certain: bool) -> Result<Closing, StoreError> {
        let mut tx = self.begin().await?;
        let Some(locked) = lock_order(&mut tx, order).await? else { return Ok(Closing::NotFound) };
        match locked.status.as_str() {
            "expiring" => {}
            "expired" => return Ok(Closing::Before),
            _ => return Ok(Closing::Not(locked.status)),
        }
        let closed = close_payments(&mut tx, order, None).await?;
        if is_certain && closed > 0 {
            // An attempt was opened or not closed: somebody must ask about it first.
            return Ok(Closing::Not(locked.status));
        }
        let freed = release_order(&mut tx, &locked).await?;
        tx.commit().await?;
        Ok(Closing::Closed(freed))
    }
}

/// Gives back the places of an expiring order, and tells.
async fn release_order(connection: &mut PgConnection, order: &LockedOrder) -> Result<Vec<Freed>, StoreError> {
    let (ids, bookings) = lock_items(connection, order).await?;
    let freed = free_items(connection, &ids).await?;
    mark_items(connection, &ids, "released").await?;
    sqlx::query!(
        "with lapsed as (
             update bookings set status = 'expired', closed_at = clock_timestamp() where id = any($2)
         )
         update orders set status = 'expired', closed_at = clock_timestamp() where id = $1",
        order.id.0,
        &bookings
    )
    .execute(&mut *connection)
    .await?;
    tell(connection, order.id, order.user).await?;
    // Last, as it holds the counter of the outbox, which others need.
    record_freed(connection, &freed, &[], Why::Expired).await?;
    append_order_facts(connection, order.id, order.user, &NewFacts::of("order.expired")).await?;
    Ok(freed)
}

/// Cancels a locked order with all its bookings and gives its places back, sold or not.
pub(in crate::store) async fn cancel_order_rows(
    connection: &mut PgConnection,
    order: &LockedOrder,
    reason: &str,
) -> Result<Vec<Freed>, StoreError> {
    let (ids, bookings) = lock_items(connection, order).await?;
    let freed = free_items(connection, &ids).await?;
    mark_items(connection, &ids, "released").await?;
    super::cancel_tickets(connection, &ids).await?;
    sqlx::query!(
        "with given_up as (
             update bookings set status = 'cancelled', closed_at = clock_timestamp() where id = any($2)
         )
         update orders set status = 'cancelled', paid_at = null, closed_at = clock_timestamp() where id = $1",
        order.id.0,
        &bookings
    )
    .execute(&mut *connection)
    .await?;
    if reason != "by_shopper" {
        tell(connection, order.id, order.user).await?;
    }
    record_freed(connection, &freed, &[], Why::Released).await?;
    let facts = NewFacts { reason: Some(reason), ..NewFacts::of("order.cancelled") };
    append_order_facts(connection, order.id, order.user, &facts).await?;
    Ok(freed)
}

async fn lock_items(
    connection: &mut PgConnection,
    order: &LockedOrder,
) -> Result<(Vec<Uuid>, Vec<Uuid>), StoreError> {
    let items = read_items(connection, order.id).await?;
    let bookings = lock_bookings(connection, &items).await?;
    Ok((items.iter().map(|item| item.id).collect(), bookings))
}

async fn tell(connection: &mut PgConnection, order: OrderId, user: UserId) -> Result<(), StoreError> {
    let outgoing = Outgoing { to: Recipient::User { id: user }, message: Message::OrderExpired { order } };
    messages::send(connection, &outgoing).await?;
    Ok(())
}
