//! Who has what: reading it for a map, and giving it back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{Store, StoreError};
use crate::domain::{AreaId, BookingId, EventId, Hold, SeatId, UserId};

/// A place by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimedPlace {
    /// A numbered seat.
    Seat(SeatId),
    /// A slot of an area, from 1.
    Slot(AreaId, u32),
}

/// A place that came free.
#[derive(Debug, Clone)]
pub struct Freed {
    /// Of which event.
    pub event: EventId,
    /// Which booking had it.
    pub booking: BookingId,
    /// Whose booking that is.
    pub user: UserId,
    /// Which place.
    pub place: ClaimedPlace,
}

/// Places that came free since one looked, and how to look on from there.
#[derive(Debug, Clone, Default)]
pub struct FreedPlaces {
    /// They may have been claimed again.
    pub places: Vec<ClaimedPlace>,
    /// Places that were sold meanwhile.
    pub sold: Vec<ClaimedPlace>,
    /// Ids of the rows that said so.
    pub rows: HashSet<i64>,
    /// The oldest transaction that was still running: look from here on the next time.
    pub xmin: String,
}

/// Who has what at an event.
#[derive(Debug, Clone, Default)]
pub struct LiveClaims {
    /// Places that somebody has.
    pub held: Vec<(ClaimedPlace, Hold)>,
    /// Places whose reservation has run out and that nobody has swept yet: whoever takes one takes it over.
    pub run_out: Vec<ClaimedPlace>,
    /// From where to look for what comes free afterwards.
    pub freed: FreedPlaces,
}

/// Why places come free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The time ran out.
    Expired,
    /// The shopper gave them up, and may go on with the booking.
    Released,
}

pub(super) fn slot(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

pub(super) fn slot_column(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The place of a row that has a seat or a slot.
pub(super) fn place(seat: Option<i64>, area: Option<i64>, at: Option<i32>) -> Option<ClaimedPlace> {
    match (seat, area, at) {
        (Some(seat), ..) => Some(ClaimedPlace::Seat(SeatId(seat))),
        (None, Some(area), Some(at)) => Some(ClaimedPlace::Slot(AreaId(area), slot(at))),
        (None, ..) => None,
    }
}

fn hold(status: &str) -> Hold {
    if status == "sold" { Hold::Sold } else { Hold::Reserved }
}

impl Store {
    /// Who has what at an event.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn live_claims(&self, event: EventId) -> Result<LiveClaims, StoreError> {
        // First what came free: the claims that are read after it know of all that.
        let freed = sqlx::query!(
            r#"select s.xmin as "xmin!",
                   array(select id from claim_frees where event_id = $1 and xid >= s.xmin::xid8) as "rows!"
               from (select pg_snapshot_xmin(pg_current_snapshot())::text as xmin) s"#,
            event.0
        )
        .fetch_one(&self.pool)
        .await?;
        let seats = sqlx::query!(
            r#"select c.seat_id, c.status,
                   case when c.status = 'reserved' and c.expires_at <= clock_timestamp()
                       then (select b.status = 'created' from bookings b where b.id = c.booking_id)
                       else false end as "has_run_out!"
               from seat_claims c where c.event_id = $1"#,
            event.0
        )
        .fetch_all(&self.pool)
        .await?;
        let slots = sqlx::query!(
            r#"select c.area_id, c.slot, c.status,
                   case when c.status = 'reserved' and c.expires_at <= clock_timestamp()
                       then (select b.status = 'created' from bookings b where b.id = c.booking_id)
                       else false end as "has_run_out!"
               from area_claims c where c.event_id = $1"#,
            event.0
        )
        .fetch_all(&self.pool)
        .await?;
        let seats = seats
            .into_iter()
            .map(|row| (ClaimedPlace::Seat(SeatId(row.seat_id)), hold(&row.status), row.has_run_out));
        let slots = slots.into_iter().map(|row| {
            (ClaimedPlace::Slot(AreaId(row.area_id), slot(row.slot)), hold(&row.status), row.has_run_out)
        });
        let mut claims = LiveClaims {
            freed: FreedPlaces {
                places: Vec::new(),
                sold: Vec::new(),
                rows: freed.rows.into_iter().collect(),
                xmin: freed.xmin,
            },
            ..LiveClaims::default()
        };
        for (place, hold, has_run_out) in seats.chain(slots) {
            if has_run_out {
                claims.run_out.push(place);
            } else {
                claims.held.push((place, hold));
            }
        }
        Ok(claims)
    }
}

/// What ran out of some bookings.
pub(super) struct RanOut {
    /// What came free.
    pub(super) freed: Vec<Freed>,
    /// Until when what is left runs, of bookings that have something left.
    pub(super) left: HashMap<uuid::Uuid, DateTime<Utc>>,
}

/// Deletes the reservations of these bookings that have run out, and tells what is left of them. The bookings' rows are
/// locked by the caller, so that nobody else gives them claims or takes some away.
pub(super) async fn delete_expired(
    connection: &mut PgConnection,
    bookings: &[uuid::Uuid],
) -> Result<RanOut, StoreError> {
    let rows = sqlx::query_file!("src/store/sql/delete_expired.sql", bookings).fetch_all(connection).await?;
    let mut out = RanOut { freed: Vec::with_capacity(rows.len()), left: HashMap::new() };
    for row in rows {
        if let Some(until) = row.left_until {
            let earliest = out.left.entry(row.booking_id).or_insert(until);
            *earliest = until.min(*earliest);
            continue;
        }
        let Some(place) = place(row.seat_id, row.area_id, row.slot) else { continue };
        out.freed.push(Freed {
            event: EventId(row.event_id),
            booking: BookingId(row.booking_id),
            user: UserId(row.user_id),
            place,
        });
    }
    Ok(out)
}

/// Writes down what follows from deleted claims: the hint for workers, the state of the bookings, the outbox. Places
/// that are `retaken` in the same transaction are no hint to anybody.
pub(super) async fn record_freed(
    connection: &mut PgConnection,
    freed: &[Freed],
    retaken: &[ClaimedPlace],
    why: Why,
) -> Result<(), StoreError> {
    if freed.is_empty() {
        return Ok(());
    }
    let bookings: BTreeSet<uuid::Uuid> = freed.iter().map(|one| one.booking.0).collect();
    let bookings: Vec<uuid::Uuid> = bookings.into_iter().collect();
    let facts = hint_freed(connection, freed, retaken, why).await?;
    match why {
        Why::Expired => settle_expired(connection, &bookings).await?,
        Why::Released => prolong_emptied(connection, &bookings).await?,
    }
    append_freed(connection, &facts).await
}

/// Facts by event, for the outbox.
pub(super) type FreedFacts = Vec<(EventId, Vec<Fact>)>;

/// The end of [`record_freed`], which holds the events' counters until the commit.
pub(super) async fn append_freed(
    connection: &mut PgConnection,
    facts: &FreedFacts,
) -> Result<(), StoreError> {
    for (event, facts) in facts {
        append_outbox(connection, *event, facts).await?;
    }
    Ok(())
}

/// The beginning of [`record_freed`]: the hint for workers, and the facts that are to be told.
pub(super) async fn hint_freed(
    connection: &mut PgConnection,
    freed: &[Freed],
    retaken: &[ClaimedPlace],
    why: Why,
) -> Result<FreedFacts, StoreError> {
    let retaken: HashSet<ClaimedPlace> = retaken.iter().copied().collect();
    let mut events: BTreeMap<EventId, Vec<&Freed>> = BTreeMap::new();
    for one in freed {
        events.entry(one.event).or_default().push(one);
    }
    let mut told = Vec::with_capacity(events.len());
    for (event, freed) in events {
        let (mut seats, mut areas, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        let mut bookings: BTreeMap<BookingId, (UserId, Vec<SeatId>, Vec<(AreaId, u32)>)> = BTreeMap::new();
        for one in freed {
            let booking = bookings.entry(one.booking).or_insert_with(|| (one.user, Vec::new(), Vec::new()));
            let is_hint = !retaken.contains(&one.place);
            match one.place {
                ClaimedPlace::Seat(seat) => {
                    seats.extend(is_hint.then_some(seat.0));
                    booking.1.push(seat);
                }
                ClaimedPlace::Slot(area, slot) => {
                    areas.extend(is_hint.then_some(area.0));
                    slots.extend(is_hint.then_some(slot_column(slot)));
                    booking.2.push((area, slot));
                }
            }
        }
        if !seats.is_empty() || !areas.is_empty() {
            sqlx::query!(
                "insert into claim_frees (event_id, seat_ids, area_ids, slots) values ($1, $2, $3, $4)",
                event.0,
                &seats,
                &areas,
                &slots
            )
            .execute(&mut *connection)
            .await?;
        }
        let topic = match why {
            Why::Expired => "reservation.expired",
            Why::Released => "seat.released",
        };
        let facts = bookings
            .into_iter()
            .map(|(booking, (user, seats, slots))| Fact::of_booking(topic, booking, user, &seats, &slots));
        told.push((event, facts.collect()));
    }
    Ok(told)
}

/// Bookings that ran out in part go on until the next reservation in them does; those with nothing left are expired.
/// The caller has locked them and knows that they are open. What is left is looked up: new claims may have come since
/// [`delete_expired`].
async fn settle_expired(connection: &mut PgConnection, ids: &[uuid::Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "update bookings b
         set (status, closed_at, expires_at) = (
             select case when due.next is null then 'expired' else b.status end,
                 case when due.next is null then clock_timestamp() end,
                 coalesce(due.next, b.expires_at)
             from (
                 select least(
                     (select min(c.expires_at) from seat_claims c where c.booking_id = b.id),
                     (select min(c.expires_at) from area_claims c where c.booking_id = b.id)) as next
                 offset 0
             ) due)
         where b.id = any($1)",
        ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The first half of the same right after [`delete_expired`], which told what is left: it is not looked up again.
pub(super) async fn prolong_left(
    connection: &mut PgConnection,
    left: &HashMap<uuid::Uuid, DateTime<Utc>>,
) -> Result<(), StoreError> {
    if !left.is_empty() {
        let (ids, until): (Vec<uuid::Uuid>, Vec<DateTime<Utc>>) = left.iter().unzip();
        sqlx::query!(
            "update bookings b set expires_at = left_in.until
             from unnest($1::uuid[], $2::timestamptz[]) as left_in (id, until) where b.id = left_in.id",
            &ids,
            &until
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// The other half: bookings that have nothing left.
pub(super) async fn close_ran_out(
    connection: &mut PgConnection,
    ended: &[uuid::Uuid],
) -> Result<(), StoreError> {
    if !ended.is_empty() {
        sqlx::query!(
            "update bookings set status = 'expired', closed_at = clock_timestamp() where id = any($1)",
            ended
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Bookings that were emptied by hand stay open for another while.
async fn prolong_emptied(connection: &mut PgConnection, ids: &[uuid::Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "update bookings b
         set expires_at = clock_timestamp() + make_interval(secs => e.hold_seconds)
         from events e
         where e.id = b.event_id and b.id = any($1) and b.closed_at is null
             and (select c.seat_id from seat_claims c where c.booking_id = b.id limit 1) is null
             and (select c.slot from area_claims c where c.booking_id = b.id limit 1) is null",
        ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Something that happened, for the outside.
pub(super) struct Fact {
    topic: &'static str,
    /// A JSON object.
    json: String,
}

/// What facts about bookings say.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BookingFact<'a> {
    booking_id: BookingId,
    user_id: UserId,
    #[serde(skip_serializing_if = "<[SeatId]>::is_empty")]
    seat_ids: &'a [SeatId],
    #[serde(skip_serializing_if = "<[(AreaId, u32)]>::is_empty")]
    slots: &'a [(AreaId, u32)],
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

impl Fact {
    /// A fact that says what `what` does, as a JSON object.
    pub(super) fn new(topic: &'static str, what: &impl Serialize) -> Self {
        Self { topic, json: serde_json::to_string(what).unwrap_or_else(|_| "{}".to_owned()) }
    }

    /// A fact about a booking and some of its places.
    pub(super) fn of_booking(
        topic: &'static str,
        booking_id: BookingId,
        user_id: UserId,
        seat_ids: &[SeatId],
        slots: &[(AreaId, u32)],
    ) -> Self {
        Self::new(topic, &BookingFact { booking_id, user_id, seat_ids, slots, ip: None })
    }

    /// A fact about a booking as a whole, and from where its owner asked for it.
    pub(super) fn of_whole_booking(
        topic: &'static str,
        booking_id: BookingId,
        user_id: UserId,
        ip: Option<IpAddr>,
    ) -> Self {
        Self::new(topic, &BookingFact { booking_id, user_id, seat_ids: &[], slots: &[], ip })
    }
}

/// Facts of one topic, as they stand in a row of the outbox.
struct Row {
    topic: &'static str,
    count: i32,
    /// A JSON array.
    facts: String,
}

impl Row {
    /// One row a topic, topics in the order in which they first came.
    fn of(facts: &[Fact]) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for fact in facts {
            if let Some(row) = rows.iter_mut().find(|row| row.topic == fact.topic) {
                row.count += 1;
                row.facts.push(',');
                row.facts.push_str(&fact.json);
            } else {
                rows.push(Self { topic: fact.topic, count: 1, facts: format!("[{}", fact.json) });
            }
        }
        for row in &mut rows {
            row.facts.push(']');
        }
        rows
    }
}

/// Adds facts to the outbox: the counter's row is held until the transaction ends, so that numbers are in the order
/// of commits. Facts of one topic keep their order; a topic that comes first stays first.
pub(super) async fn append_outbox(
    connection: &mut PgConnection,
    event: EventId,
    facts: &[Fact],
) -> Result<(), StoreError> {
    if facts.is_empty() {
        return Ok(());
    }
    let (mut topics, mut counts, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
    for row in Row::of(facts) {
        topics.push(row.topic.to_owned());
        counts.push(row.count);
        arrays.push(row.facts);
    }
    sqlx::query!(
        "with row as (
             select topic, facts, sum(count) over (order by n) - count as before, sum(count) over () as total
             from unnest($2::text[], $3::integer[], $4::text[]) with ordinality as row (topic, count, facts, n)
         ), counter as (
             insert into outbox_counters (event_id, last) select $1, sum(count) from unnest($3::integer[]) as count
             on conflict (event_id) do update set last = outbox_counters.last + excluded.last
             returning last
         )
         insert into outbox (event_id, seq, topic, facts)
         select $1, counter.last - row.total + row.before + 1, row.topic, row.facts::json from counter, row",
        event.0,
        &topics,
        &counts,
        &arrays
    )
    .execute(connection)
    .await?;
    Ok(())
}
