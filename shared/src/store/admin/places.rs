//! Places of an event that is on sale, removed.
//!
//! All of it happens under the lock of the lane's row, as every batch does, and raises the lane's version and the layout's:
//! what a worker has proposed on the old places is refused and decided anew on the new ones.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::events::lock_event;
use super::{By, allow_time, audit, column, raise_layout};
use crate::domain::{AreaId, BookingId, EventId, OrderId, OrderItemId, SeatId, UserId};
use crate::messages::{self, Message, Outgoing, Recipient};
use crate::store::claims::{Fact, Why, append_outbox, record_freed};
use crate::store::{ClaimedPlace, Freed, NewNamedJob, Store, StoreError, cancel_tickets, insert_job};

/// The queue that gives money back, and lanes that its jobs are spread over.
const REFUNDS: (&str, u16) = ("refunds", 16);

/// A place that is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedPlace {
    /// Which.
    pub place: ClaimedPlace,
    /// Whose it was, and in which booking of theirs.
    pub holder: Option<(UserId, BookingId)>,
    /// It was paid for.
    pub is_sold: bool,
}

/// What became of removing places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// They are gone; these were somebody's.
    Done(Vec<RemovedPlace>),
    /// There is no such event or place of it.
    NotFound,
    /// Somebody is paying for one at this moment.
    BeingPaid,
}

/// A claim on a place that goes, once nobody else can change it.
pub(super) struct Claim {
    pub(super) removed: RemovedPlace,
    pub(super) is_alive: bool,
    /// The place in words.
    pub(super) words: String,
}

/// What the outside is told of a place that was paid for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RemovedFact {
    event_id: EventId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat_id: Option<SeatId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_id: Option<AreaId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u32>,
    order_item_id: Option<OrderItemId>,
    order_id: Option<OrderId>,
    user_id: UserId,
    booking_id: BookingId,
}

impl Store {
    /// Removes seats of an event; all or none. Whoever had one in their cart or had bought it is told, and what was paid for
    /// is given back, by jobs that are written with it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn remove_seats(
        &self,
        event: EventId,
        seats: &[SeatId],
        by: &By,
    ) -> Result<Removal, StoreError> {
        let mut tx = self.begin().await?;
        allow_time(&mut tx).await?;
        if !lock_event(&mut tx, event).await? {
            return Ok(Removal::NotFound);
        }
        let ids: Vec<i64> = seats.iter().map(|seat| seat.0).collect();
        let bookings =
            sqlx::query_scalar!("select booking_id from seat_claims where seat_id = any($1)", &ids)
                .fetch_all(&mut *tx)
                .await?;
        if !lock_bookings(&mut tx, &bookings).await?.is_empty() {
            return Ok(Removal::BeingPaid);
        }
        let claims = take_seats(&mut tx, &ids).await?;
        let removed = settle(&mut tx, event, &claims).await?;
        let gone = sqlx::query!("delete from seats where event_id = $1 and id = any($2)", event.0, &ids)
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() != ids.len() as u64 {
            return Ok(Removal::NotFound);
        }
        raise_layout(&mut tx, event).await?;
        audit(&mut tx, by, "event.remove_seats", &format!("{} seats of event {event}", ids.len())).await?;
        tx.commit().await?;
        Ok(Removal::Done(removed))
    }
}

/// Locks orders and bookings, in the order that everybody does; those that are being paid for.
pub(super) async fn lock_bookings(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query!(
        "select 1 as one from orders
         where id in (select order_id from order_items where booking_id = any($1)) order by id for update",
        ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let locked =
        sqlx::query!("select id, status from bookings where id = any($1) order by id for update", ids)
            .fetch_all(connection)
            .await?;
    let paying = locked.into_iter().filter(|booking| booking.status == "pending_payment");
    Ok(paying.map(|booking| booking.id).collect())
}

async fn take_seats(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Claim>, StoreError> {
    let rows = sqlx::query!(
        r#"with gone as (
               delete from seat_claims where seat_id = any($1)
               returning seat_id, booking_id, user_id, status, expires_at
           )
           select g.seat_id, g.booking_id, g.user_id, g.status = 'sold' as "is_sold!",
               g.status = 'sold' or g.expires_at > clock_timestamp() as "is_alive!",
               format('%s, row %s, seat %s', c.name, s.row_label, s.seat_label) as "words!"
           from gone g join seats s on s.id = g.seat_id join sections c on c.id = s.section_id
           order by g.booking_id, g.seat_id"#,
        ids
    )
    .fetch_all(connection)
    .await?;
    let claims = rows.into_iter().map(|row| Claim {
        removed: RemovedPlace {
            place: ClaimedPlace::Seat(SeatId(row.seat_id)),
            holder: Some((UserId(row.user_id), BookingId(row.booking_id))),
            is_sold: row.is_sold,
        },
        is_alive: row.is_alive,
        words: row.words,
    });
    Ok(claims.collect())
}

/// What follows from claims that are gone: carts go on with the rest, people are told, money is given back.
pub(super) async fn settle(
    connection: &mut PgConnection,
    event: EventId,
    claims: &[Claim],
) -> Result<Vec<RemovedPlace>, StoreError> {
    let (mut freed, mut facts, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for claim in claims {
        let Some((user, booking)) = claim.removed.holder else { continue };
        let place = claim.removed.place;
        if claim.removed.is_sold {
            let (fact, item) = refund(connection, event, place, (user, booking)).await?;
            facts.push(fact);
            items.extend(item);
        } else {
            freed.push(Freed { event, booking, user, place });
        }
        if claim.is_alive {
            let message = Message::PlaceRemoved { event, place: claim.words.clone() };
            messages::send(connection, &Outgoing { to: Recipient::User { id: user }, message }).await?;
        }
    }
    // All at once, as they are locked in the order of their ids.
    cancel_tickets(connection, &items).await?;
    // As nobody can have these places again, they are no hint to workers.
    let places: Vec<ClaimedPlace> = freed.iter().map(|one| one.place).collect();
    record_freed(connection, &freed, &places, Why::Released).await?;
    append_outbox(connection, event, &facts).await?;
    Ok(claims.iter().map(|claim| claim.removed).collect())
}

/// Writes the job that gives the money for a place back, if it was paid for; what the outside is told, and
/// whose ticket is not good any more.
async fn refund(
    connection: &mut PgConnection,
    event: EventId,
    place: ClaimedPlace,
    (user_id, booking_id): (UserId, BookingId),
) -> Result<(Fact, Option<OrderItemId>), StoreError> {
    let (seat_id, at) = match place {
        ClaimedPlace::Seat(seat) => (Some(seat), None),
        ClaimedPlace::Slot(area, slot) => (None, Some((area, slot))),
    };
    let item = sqlx::query!(
        "select id, order_id from order_items
         where booking_id = $1 and status = 'sold'
             and (seat_id = $2 or (area_id = $3 and slot = $4))",
        booking_id.0,
        seat_id.map(|seat| seat.0),
        at.map(|(area, _)| area.0),
        at.map(|(_, slot)| column(slot))
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(item) = &item {
        let (queue, lanes) = REFUNDS;
        let payload = json!({"reason": "place_removed", "orderItem": item.id});
        let lane = rand::random_range(0..lanes);
        insert_job(connection, &NewNamedJob { queue, lane, payload, run_at: None }).await?;
    }
    let order_item_id = item.as_ref().map(|item| OrderItemId(item.id));
    let fact = RemovedFact {
        event_id: event,
        seat_id,
        area_id: at.map(|(area, _)| area),
        slot: at.map(|(_, slot)| slot),
        order_item_id,
        order_id: item.as_ref().map(|item| OrderId(item.order_id)),
        user_id,
        booking_id,
    };
    Ok((Fact::new("seat.removed", &fact), order_item_id))
}
