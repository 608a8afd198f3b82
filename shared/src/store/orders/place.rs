//! From a cart to an order, in one transaction.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::payments::insert_payment;
use super::super::{Store, StoreError};
use super::items::{columns_of_place, place_of_row, read_items};
use super::sell::{NewFacts, append_order_facts, complete_order, sell};
use super::{Basket, ClaimedPlace, NewOrder, Placed};
use crate::domain::{BookingId, EventId, Money, OrderId, OrderItemId, UserId};

/// A place that is bought.
struct Bought {
    booking: Uuid,
    event: EventId,
    at: ClaimedPlace,
    place: String,
    tier: String,
    price: Money,
    is_held: bool,
}

impl Store {
    /// Makes an order of what is in a cart: every reservation is looked at again under its lock, and from here on they
    /// all run out at the same time, once. Asking again finds the same order.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn place_order(&self, new: &NewOrder<'_>) -> Result<Placed, StoreError> {
        let mut tx = self.begin().await?;
        let bookings = lock_open(&mut tx, new.user, new.basket).await?;
        let bought = read_bought(&mut tx, &bookings).await?;
        if bought.is_empty() {
            return placed_before(&mut tx, new.user, new.basket).await;
        }
        if let Some(refused) = check(&mut tx, &bought).await? {
            return Ok(refused);
        }
        let order = insert_order(&mut tx, new, &bought).await?;
        hold(&mut tx, order, &bought).await?;
        let total: i64 = bought.iter().map(|one| one.price.amount).sum();
        let placed = if total > 0 {
            let payment = insert_payment(&mut tx, order, new.provider).await?;
            let facts = NewFacts { payment: Some(payment), ..NewFacts::of("payment.initiated") };
            append_order_facts(&mut tx, order, new.user, &facts).await?;
            Placed::New(order)
        } else {
            let items = read_items(&mut tx, order).await?;
            let sold = sell(&mut tx, order, new.user, &items).await?;
            complete_order(&mut tx, order, new.user).await?;
            Placed::Free(order, sold.ok_or(StoreError::Row("claims just locked"))?)
        };
        tx.commit().await?;
        Ok(placed)
    }
}

/// Locks the open bookings that are meant, by id.
async fn lock_open(
    connection: &mut PgConnection,
    user: UserId,
    basket: Basket,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = match basket {
        Basket::Booking(booking) => vec![booking.0],
        Basket::Cart => {
            sqlx::query_scalar!("select id from bookings where user_id = $1 and status = 'created'", user.0)
                .fetch_all(&mut *connection)
                .await?
        }
    };
    let locked = sqlx::query!(
        "select id, user_id, status from bookings where id = any($1) order by id for update",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let is_open = |status: &str, owner: i64| status == "created" && owner == user.0;
    Ok(locked.into_iter().filter(|row| is_open(&row.status, row.user_id)).map(|row| row.id).collect())
}

async fn read_bought(connection: &mut PgConnection, bookings: &[Uuid]) -> Result<Vec<Bought>, StoreError> {
    // In the order of ids, as everywhere.
    sqlx::query!(
        "select seat_id from seat_claims where booking_id = any($1) order by seat_id for update",
        bookings
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "select area_id from area_claims where booking_id = any($1) order by area_id, slot for update",
        bookings
    )
    .fetch_all(&mut *connection)
    .await?;
    // Read after the locks, so that its clock is later than whatever they waited for.
    let rows = sqlx::query_file!("src/store/sql/places_to_buy.sql", bookings).fetch_all(connection).await?;
    let bought = rows.into_iter().map(|row| {
        Ok(Bought {
            booking: row.booking_id,
            event: EventId(row.event_id),
            at: place_of_row(row.seat_id, row.area_id, row.slot)?,
            place: row.place,
            tier: row.tier_name,
            price: Money { amount: row.price_minor, currency: row.currency },
            is_held: row.is_held,
        })
    });
    bought.collect()
}

/// What there is instead of an open cart.
async fn placed_before(
    connection: &mut PgConnection,
    user: UserId,
    basket: Basket,
) -> Result<Placed, StoreError> {
    let Basket::Booking(booking) = basket else {
        let open = sqlx::query_scalar!(
            "select id from orders
             where user_id = $1 and status = 'awaiting_payment' and pay_until > clock_timestamp()
             order by created_at desc limit 1",
            user.0
        )
        .fetch_optional(connection)
        .await?;
        return Ok(open.map_or(Placed::Empty, |id| Placed::Open(OrderId(id))));
    };
    let row = sqlx::query!(
        r#"select case when b.status = 'created' and b.expires_at <= clock_timestamp() then 'expired'
                   else b.status end as "status!", (
               select i.order_id from order_items i where i.booking_id = b.id order by i.id desc limit 1
           ) as "order_id"
           from bookings b where b.id = $1 and b.user_id = $2"#,
        booking.0,
        user.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(match row {
        None => Placed::NotFound,
        Some(row) => match (row.status.as_str(), row.order_id) {
            ("pending_payment" | "paid", Some(order)) => Placed::Open(OrderId(order)),
            ("created", _) => Placed::Empty,
            _ => Placed::Closed(row.status),
        },
    })
}

async fn check(connection: &mut PgConnection, bought: &[Bought]) -> Result<Option<Placed>, StoreError> {
    if bought.iter().any(|one| !one.is_held) {
        return Ok(Some(Placed::RunOut));
    }
    let currencies: BTreeSet<&str> = bought.iter().map(|one| one.price.currency.as_str()).collect();
    if currencies.len() > 1 {
        return Ok(Some(Placed::Currencies));
    }
    let is_cancelled = sqlx::query_scalar!(
        r#"select exists (select 1 from events where id = any($1) and status = 'cancelled') as "is_cancelled!""#,
        &events_of(bought)
    )
    .fetch_one(connection)
    .await?;
    Ok(is_cancelled.then_some(Placed::EventCancelled))
}

fn events_of(bought: &[Bought]) -> Vec<i64> {
    let events: BTreeSet<i64> = bought.iter().map(|one| one.event.0).collect();
    events.into_iter().collect()
}

async fn insert_order(
    connection: &mut PgConnection,
    new: &NewOrder<'_>,
    bought: &[Bought],
) -> Result<OrderId, StoreError> {
    let order = OrderId::new();
    let total: i64 = bought.iter().map(|one| one.price.amount).sum();
    let currency = bought.first().map(|one| one.price.currency.as_str()).unwrap_or_default();
    sqlx::query!(
        "insert into orders (id, user_id, currency, total_minor, pay_until, ip)
         select $1, $2, $3, $4,
             clock_timestamp() + make_interval(secs => least($5::integer, min(e.hold_seconds))), $6::text::inet
         from events e where e.id = any($7)",
        order.0,
        new.user.0,
        currency,
        total,
        i32::try_from(new.limit_s).unwrap_or(i32::MAX),
        new.ip.map(|ip| ip.to_string()),
        &events_of(bought)
    )
    .execute(&mut *connection)
    .await?;
    insert_items(connection, order, bought).await?;
    Ok(order)
}

async fn insert_items(
    connection: &mut PgConnection,
    order: OrderId,
    bought: &[Bought],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = bought.iter().map(|_| OrderItemId::new().0).collect();
    let bookings: Vec<Uuid> = bought.iter().map(|one| one.booking).collect();
    let events: Vec<i64> = bought.iter().map(|one| one.event.0).collect();
    let columns: Vec<_> = bought.iter().map(|one| columns_of_place(one.at)).collect();
    let seats: Vec<Option<i64>> = columns.iter().map(|columns| columns.0).collect();
    let areas: Vec<Option<i64>> = columns.iter().map(|columns| columns.1).collect();
    let slots: Vec<Option<i32>> = columns.iter().map(|columns| columns.2).collect();
    let tiers: Vec<String> = bought.iter().map(|one| one.tier.clone()).collect();
    let places: Vec<String> = bought.iter().map(|one| one.place.clone()).collect();
    let prices: Vec<i64> = bought.iter().map(|one| one.price.amount).collect();
    sqlx::query!(
        "insert into order_items
             (id, order_id, booking_id, event_id, seat_id, area_id, slot, tier_name, place, price_minor)
         select i.id, $1, i.booking_id, i.event_id, i.seat_id, i.area_id, i.slot, i.tier, i.place, i.price
         from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::integer[], $8::text[],
             $9::text[], $10::bigint[])
             as i (id, booking_id, event_id, seat_id, area_id, slot, tier, place, price)",
        order.0,
        &ids,
        &bookings,
        &events,
        &seats as &[Option<i64>],
        &areas as &[Option<i64>],
        &slots as &[Option<i32>],
        &tiers,
        &places,
        &prices
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The time to pay takes the place of whatever the claims ran out at; nothing moves it again.
async fn hold(connection: &mut PgConnection, order: OrderId, bought: &[Bought]) -> Result<(), StoreError> {
    let bookings: Vec<Uuid> = bought.iter().map(|one| one.booking).collect();
    let until: DateTime<Utc> = sqlx::query_scalar!(
        "update bookings b set status = 'pending_payment', expires_at = o.pay_until
         from orders o where o.id = $1 and b.id = any($2) returning o.pay_until",
        order.0,
        &bookings
    )
    .fetch_all(&mut *connection)
    .await?
    .pop()
    .ok_or(StoreError::Row("an order just written"))?;
    sqlx::query!(
        "update seat_claims set expires_at = $2 where booking_id = any($1) and status = 'reserved'",
        &bookings,
        until
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "update area_claims set expires_at = $2 where booking_id = any($1) and status = 'reserved'",
        &bookings,
        until
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// The latest order that has a booking in it, if it is one of this shopper.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn order_of_booking(
        &self,
        user: UserId,
        booking: BookingId,
    ) -> Result<Option<OrderId>, StoreError> {
        let id = sqlx::query_scalar!(
            "select o.id from order_items i join orders o on o.id = i.order_id
             where i.booking_id = $1 and o.user_id = $2 order by i.id desc limit 1",
            booking.0,
            user.0
        );
        Ok(id.fetch_optional(&self.pool).await?.map(OrderId))
    }
}
