//! Orders as they stand once they are paid, without anybody having paid.

use shared::domain::{EventId, OrderId, OrderItemId, SeatId, UserId};
use shared::store::Store;

/// An order of these seats in this status, each an item that is `sold`; the items in the order of the seats.
pub(crate) async fn make_order(
    store: &Store,
    user: UserId,
    (event, seats): (EventId, &[SeatId]),
    status: &str,
) -> Result<(OrderId, Vec<OrderItemId>), sqlx::Error> {
    let order = OrderId::new();
    let mut tx = store.pool().begin().await?;
    sqlx::query(
        "insert into orders (id, user_id, status, currency, total_minor, pay_until, paid_at)
         values ($1, $2, $3, 'EUR', $4, now(),
             case when $3 in ('paid', 'fulfilled', 'partially_refunded', 'refunded') then now() end)",
    )
    .bind(order.0)
    .bind(user.0)
    .bind(status)
    .bind(i64::try_from(seats.len()).unwrap_or(0) * 1_000)
    .execute(&mut *tx)
    .await?;
    let mut items = Vec::new();
    for seat in seats {
        let item = OrderItemId::new();
        sqlx::query(
            "insert into order_items (id, order_id, booking_id, event_id, seat_id, tier_name, place, price_minor, status)
             select $1, $2, gen_random_uuid(), $3, s.id, 'One', format('Hall, row %s, seat %s', row_label, seat_label),
                 1000, 'sold'
             from seats s where s.id = $4",
        )
        .bind(item.0)
        .bind(order.0)
        .bind(event.0)
        .bind(seat.0)
        .execute(&mut *tx)
        .await?;
        items.push(item);
    }
    tx.commit().await?;
    Ok((order, items))
}
