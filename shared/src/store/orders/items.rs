//! The places of an order: who has them, and giving them back.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::claims::{slot, slot_column};
use super::super::{ClaimedPlace, Freed, StoreError};
use crate::domain::{AreaId, BookingId, EventId, OrderId, OrderItemId, SeatId, UserId};

/// One place of an order, as it is worked with under the order's lock.
#[derive(Debug, Clone)]
pub(in crate::store) struct Item {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) booking: Uuid,
    pub(in crate::store) event: EventId,
    pub(in crate::store) place: ClaimedPlace,
    pub(in crate::store) price_minor: i64,
    pub(in crate::store) status: String,
}

impl Item {
    /// The place with whose it is, for those who are told.
    pub(in crate::store) fn told(&self, user: UserId) -> Freed {
        Freed { event: self.event, booking: BookingId(self.booking), user, place: self.place }
    }
}

/// A place from the columns of a row.
pub(in crate::store) fn place_of_row(
    seat: Option<i64>,
    area: Option<i64>,
    at: Option<i32>,
) -> Result<ClaimedPlace, StoreError> {
    match (seat, area, at) {
        (Some(seat), ..) => Ok(ClaimedPlace::Seat(SeatId(seat))),
        (None, Some(area), Some(at)) => Ok(ClaimedPlace::Slot(AreaId(area), slot(at))),
        (None, ..) => Err(StoreError::Row("an order item without a place")),
    }
}

/// The columns of a place: seat, area, slot.
pub(in crate::store) fn columns_of_place(place: ClaimedPlace) -> (Option<i64>, Option<i64>, Option<i32>) {
    match place {
        ClaimedPlace::Seat(seat) => (Some(seat.0), None, None),
        ClaimedPlace::Slot(area, slot) => (None, Some(area.0), Some(slot_column(slot))),
    }
}

/// The items of an order, in their order. The order is locked by the caller.
pub(in crate::store) async fn read_items(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Vec<Item>, StoreError> {
    let rows = sqlx::query!(
        "select id, booking_id, event_id, seat_id, area_id, slot, price_minor, status
         from order_items where order_id = $1 order by id",
        order.0
    )
    .fetch_all(connection)
    .await?;
    let items = rows.into_iter().map(|row| {
        Ok(Item {
            id: row.id,
            booking: row.booking_id,
            event: EventId(row.event_id),
            place: place_of_row(row.seat_id, row.area_id, row.slot)?,
            price_minor: row.price_minor,
            status: row.status,
        })
    });
    items.collect()
}

/// Locks the bookings of these items, by id; their ids.
pub(in crate::store) async fn lock_bookings(
    connection: &mut PgConnection,
    items: &[Item],
) -> Result<Vec<Uuid>, StoreError> {
    let mut ids: Vec<Uuid> = items.iter().map(|item| item.booking).collect();
    ids.sort_unstable();
    ids.dedup();
    sqlx::query!("select id from bookings where id = any($1) order by id for update", &ids)
        .fetch_all(connection)
        .await?;
    Ok(ids)
}

/// Deletes the claims of these items, sold or not; what came free by it. Their bookings are locked by the caller.
pub(in crate::store) async fn free_items(
    connection: &mut PgConnection,
    items: &[Uuid],
) -> Result<Vec<Freed>, StoreError> {
    let rows = sqlx::query!(
        r#"with seats as (
               delete from seat_claims c using order_items i
               where i.id = any($1) and c.seat_id = i.seat_id and c.booking_id = i.booking_id
               returning c.seat_id, c.event_id, c.booking_id, c.user_id
           ), slots as (
               delete from area_claims c using order_items i
               where i.id = any($1) and c.area_id = i.area_id and c.slot = i.slot
                   and c.booking_id = i.booking_id
               returning c.area_id, c.slot, c.event_id, c.booking_id, c.user_id
           )
           select event_id as "event_id!", booking_id as "booking_id!", user_id as "user_id!", seat_id,
               null::bigint as area_id, null::integer as slot
           from seats
           union all
           select event_id, booking_id, user_id, null, area_id, slot from slots
           order by 1, 2"#,
        items
    )
    .fetch_all(connection)
    .await?;
    let freed = rows.into_iter().map(|row| {
        Ok(Freed {
            event: EventId(row.event_id),
            booking: BookingId(row.booking_id),
            user: UserId(row.user_id),
            place: place_of_row(row.seat_id, row.area_id, row.slot)?,
        })
    });
    freed.collect()
}

/// Gives these items another status.
pub(in crate::store) async fn mark_items(
    connection: &mut PgConnection,
    items: &[Uuid],
    status: &str,
) -> Result<(), StoreError> {
    sqlx::query!("update order_items set status = $2 where id = any($1)", items, status)
        .execute(connection)
        .await?;
    Ok(())
}

/// Revokes the tickets of these items, locked in the order in which check-ins do.
pub(in crate::store) async fn cancel_tickets(
    connection: &mut PgConnection,
    items: &[Uuid],
) -> Result<(), StoreError> {
    let items: Vec<OrderItemId> = items.iter().copied().map(OrderItemId).collect();
    super::super::cancel_tickets(connection, &items).await?;
    Ok(())
}

/// Paid bookings of which nothing is left are cancelled.
pub(in crate::store) async fn close_emptied(
    connection: &mut PgConnection,
    bookings: &[Uuid],
) -> Result<(), StoreError> {
    sqlx::query!(
        "update bookings b set status = 'cancelled'
         where b.id = any($1) and b.status = 'paid'
             and (select c.seat_id from seat_claims c where c.booking_id = b.id limit 1) is null
             and (select c.slot from area_claims c where c.booking_id = b.id limit 1) is null",
        bookings
    )
    .execute(connection)
    .await?;
    Ok(())
}
