//! Places become sold, and what follows from it.

use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::super::claims::{Fact, append_outbox};
use super::super::{Freed, NewNamedJob, StoreError, insert_job};
use super::items::{Item, lock_bookings};
use crate::domain::{BookingId, EventId, Money, OrderId, PaymentId, UserId};
use crate::tickets::{self, IssueTickets};

/// Lanes of the queue that issues tickets.
const TICKET_LANES: u128 = 8;

/// What facts about an order say beside its event's part of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct NewFacts<'a> {
    /// Of which topic.
    pub(in crate::store) topic: &'static str,
    /// About which attempt to pay.
    pub(in crate::store) payment: Option<PaymentId>,
    /// Why.
    pub(in crate::store) reason: Option<&'a str>,
    /// About these items only.
    pub(in crate::store) items: Option<&'a [Uuid]>,
}

impl NewFacts<'_> {
    /// Facts that say no more than that.
    pub(in crate::store) fn of(topic: &'static str) -> Self {
        Self { topic, payment: None, reason: None, items: None }
    }
}

/// What a fact about an order says of one event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderFact<'a> {
    order_id: OrderId,
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<PaymentId>,
    booking_ids: Vec<BookingId>,
    /// How many places of this event.
    places: usize,
    /// What they cost.
    amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Tells the outside about an order: one fact for each of its events, with that event's part.
pub(in crate::store) async fn append_order_facts(
    connection: &mut PgConnection,
    order: OrderId,
    user: UserId,
    facts: &NewFacts<'_>,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        r#"select i.event_id, o.currency, count(*) as "places!", sum(i.price_minor)::bigint as "amount!",
               array_agg(distinct i.booking_id) as "bookings!"
           from order_items i join orders o on o.id = i.order_id
           where i.order_id = $1 and ($2::uuid[] is null or i.id = any($2))
           group by i.event_id, o.currency order by i.event_id"#,
        order.0,
        facts.items as Option<&[Uuid]>
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let fact = OrderFact {
            order_id: order,
            user_id: user,
            payment_id: facts.payment,
            booking_ids: row.bookings.into_iter().map(BookingId).collect(),
            places: usize::try_from(row.places).unwrap_or(0),
            amount: Money { amount: row.amount, currency: row.currency },
            reason: facts.reason,
        };
        append_outbox(connection, EventId(row.event_id), &[Fact::new(facts.topic, &fact)]).await?;
    }
    Ok(())
}

/// Makes every held place of an order sold, and the order paid; `None`, and nothing is changed, when not all of them are
/// its bookings' any more. The order is locked by the caller.
pub(in crate::store) async fn sell(
    connection: &mut PgConnection,
    order: OrderId,
    user: UserId,
    items: &[Item],
) -> Result<Option<Vec<Freed>>, StoreError> {
    let bookings = lock_bookings(connection, items).await?;
    let held = sqlx::query_scalar!(
        r#"select (
               select count(*) from order_items i join seat_claims c on c.seat_id = i.seat_id
               where i.order_id = $1 and i.status = 'held' and c.booking_id = i.booking_id
                   and c.status = 'reserved'
           ) + (
               select count(*) from order_items i
               join area_claims c on c.area_id = i.area_id and c.slot = i.slot
               where i.order_id = $1 and i.status = 'held' and c.booking_id = i.booking_id
                   and c.status = 'reserved'
           ) as "held!""#,
        order.0
    )
    .fetch_one(&mut *connection)
    .await?;
    let is_open = items.iter().all(|item| item.status == "held");
    if !is_open || held.unsigned_abs() != items.len() as u64 {
        return Ok(None);
    }
    // What a constraint refuses must not end the transaction: in it the money goes back.
    let mut savepoint = connection.begin().await?;
    let is_whole = match keep_held(&mut savepoint, order, &bookings).await {
        Err(error) if is_taken(&error) => false,
        ended => ended.map(|()| true)?,
    };
    if !is_whole {
        savepoint.rollback().await?;
        return Ok(None);
    }
    savepoint.commit().await?;
    Ok(Some(items.iter().map(|item| item.told(user)).collect()))
}

/// Makes the claims of an order sold and the order paid. A place that was taken from somebody else, and is there once more,
/// is theirs until their refund is begun.
async fn keep_held(
    connection: &mut PgConnection,
    order: OrderId,
    bookings: &[Uuid],
) -> Result<(), StoreError> {
    sqlx::query!(
        "with seats as (
             update seat_claims c set status = 'sold', expires_at = null from order_items i
             where i.order_id = $1 and c.seat_id = i.seat_id
         )
         update area_claims c set status = 'sold', expires_at = null from order_items i
         where i.order_id = $1 and c.area_id = i.area_id and c.slot = i.slot",
        order.0
    )
    .execute(&mut *connection)
    .await?;
    mark_paid(connection, order, bookings).await?;
    hint_sold(connection, order).await
}

/// Tells the workers' maps which places are sold.
async fn hint_sold(connection: &mut PgConnection, order: OrderId) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into claim_frees (event_id, seat_ids, area_ids, slots, is_sold)
         select event_id, coalesce(array_agg(seat_id) filter (where seat_id is not null), '{}'),
             coalesce(array_agg(area_id order by id) filter (where area_id is not null), '{}'),
             coalesce(array_agg(slot order by id) filter (where area_id is not null), '{}'), true
         from order_items where order_id = $1 group by event_id order by event_id",
        order.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn mark_paid(
    connection: &mut PgConnection,
    order: OrderId,
    bookings: &[Uuid],
) -> Result<(), StoreError> {
    sqlx::query!(
        "with items as (
             update order_items set status = 'sold' where order_id = $1
         ), bought as (
             update bookings set status = 'paid', closed_at = clock_timestamp() where id = any($2)
         )
         update orders set status = 'paid', paid_at = clock_timestamp(), closed_at = null where id = $1",
        order.0,
        bookings
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Sells the places of an order once more that it had lost: all of them, or none and `None`. The lanes of its events are
/// locked by the caller, so that no batch takes one meanwhile; their versions rise, so that whatever a worker has proposed
/// on these places is decided anew.
pub(in crate::store) async fn reseat(
    connection: &mut PgConnection,
    order: OrderId,
    user: UserId,
    items: &[Item],
) -> Result<Option<Vec<Freed>>, StoreError> {
    let bookings = lock_bookings(connection, items).await?;
    if !is_within_limits(connection, order, user).await? {
        return Ok(None);
    }
    // What a constraint refuses must not end the transaction: in it the money goes back.
    let mut savepoint = connection.begin().await?;
    let is_whole = match take_again(&mut savepoint, (order, user), items.len(), &bookings).await {
        Err(error) if is_taken(&error) => false,
        ended => ended?,
    };
    if !is_whole {
        savepoint.rollback().await?;
        return Ok(None);
    }
    savepoint.commit().await?;
    Ok(Some(items.iter().map(|item| item.told(user)).collect()))
}

/// Constraints that say that somebody has a place by now, or this shopper their one booking of the event.
const TAKEN: [&str; 3] = ["bookings_only_key", "order_items_seat_sold_key", "order_items_slot_sold_key"];

/// One of them has refused.
fn is_taken(error: &StoreError) -> bool {
    error.constraint().is_some_and(|name| TAKEN.contains(&name))
}

/// Claims the places of an order that it had lost and makes it paid; false, with some of it done, when not all are free.
async fn take_again(
    connection: &mut PgConnection,
    (order, user): (OrderId, UserId),
    places: usize,
    bookings: &[Uuid],
) -> Result<bool, StoreError> {
    let seated = sqlx::query!(
        "insert into seat_claims (seat_id, event_id, booking_id, user_id, status)
         select i.seat_id, i.event_id, i.booking_id, $2, 'sold'
         from order_items i join seats s on s.id = i.seat_id
         where i.order_id = $1 and i.status = 'released' order by i.seat_id
         on conflict (seat_id) do nothing",
        order.0,
        user.0
    )
    .execute(&mut *connection)
    .await?;
    let placed = sqlx::query!(
        "insert into area_claims (area_id, slot, capacity, event_id, booking_id, user_id, status)
         select i.area_id, i.slot, a.capacity, i.event_id, i.booking_id, $2, 'sold'
         from order_items i join areas a on a.id = i.area_id
         where i.order_id = $1 and i.status = 'released' and i.slot <= coalesce(a.cut_to, a.capacity)
         order by i.area_id, i.slot
         on conflict (area_id, slot) do nothing",
        order.0,
        user.0
    )
    .execute(&mut *connection)
    .await?;
    if seated.rows_affected() + placed.rows_affected() != places as u64 {
        return Ok(false);
    }
    mark_paid(connection, order, bookings).await?;
    hint_sold(connection, order).await?;
    raise_lanes(connection, order).await?;
    Ok(true)
}

/// Raises the versions of the lanes of an order's events, as every batch does.
async fn raise_lanes(connection: &mut PgConnection, order: OrderId) -> Result<(), StoreError> {
    sqlx::query!(
        "update lanes set version = version + 1
         where event_id in (select event_id from order_items where order_id = $1)",
        order.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether somebody may have what an order would give them once more: they may have taken others meanwhile, or
/// have their one booking of an event that gives each person one.
async fn is_within_limits(
    connection: &mut PgConnection,
    order: OrderId,
    user: UserId,
) -> Result<bool, StoreError> {
    let is_above = sqlx::query_scalar!(
        r#"select exists (
               select 1 from (
                   select i.event_id, count(*) as places from order_items i where i.order_id = $1 group by i.event_id
               ) bought
               join events e on e.id = bought.event_id
               where e.seat_limit < bought.places + (
                   select count(*) from bookings b join seat_claims c on c.booking_id = b.id
                   where b.user_id = $2 and b.event_id = e.id
               ) + (
                   select count(*) from bookings b join area_claims c on c.booking_id = b.id
                   where b.user_id = $2 and b.event_id = e.id
               )
           ) or exists (
               select 1 from order_items i
               join bookings lost on lost.id = i.booking_id and lost.is_only
               join bookings other on other.event_id = lost.event_id and other.user_id = lost.user_id
                   and other.id <> lost.id and other.is_only
                   and other.status in ('created', 'pending_payment', 'paid')
               where i.order_id = $1
           ) as "is_above!""#,
        order.0,
        user.0
    )
    .fetch_one(connection)
    .await?;
    Ok(!is_above)
}

/// The money is there: the tickets are issued by a job, and the outside is told.
pub(in crate::store) async fn complete_order(
    connection: &mut PgConnection,
    order: OrderId,
    user: UserId,
) -> Result<(), StoreError> {
    let lane = u16::try_from(order.0.as_u128() % TICKET_LANES).unwrap_or(0);
    let job = NewNamedJob { queue: tickets::QUEUE, lane, payload: IssueTickets { order }, run_at: None };
    insert_job(connection, &job).await?;
    append_order_facts(connection, order, user, &NewFacts::of("payment.completed")).await
}
