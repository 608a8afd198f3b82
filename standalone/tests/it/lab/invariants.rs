//! What holds at the end of everything (the invariants of `docs/ARCHITECTURE.md`), read from PostgreSQL.

use shared::domain::EventId;
use shared::store::Store;
use sqlx::{Connection as _, PgConnection};

use super::TestResult;

/// Checks all of them for an event.
pub(crate) async fn assert_invariants(store: &Store, event: EventId) -> TestResult {
    let mut connection = store.pool().acquire().await?;
    assert_eq!(broken_invariants(&mut connection, event).await?, [""; 0]);
    Ok(())
}

/// Those that do not hold.
pub(crate) async fn broken_invariants(
    connection: &mut PgConnection,
    event: EventId,
) -> Result<Vec<&'static str>, sqlx::Error> {
    let mut broken = Vec::new();
    let mut tx = connection.begin().await?;
    // Usher's statements are short; these read all that there is.
    sqlx::raw_sql("set local statement_timeout = 0").execute(&mut *tx).await?;
    for (what, sql) in INVARIANTS {
        let violations: i64 = sqlx::query_scalar(*sql).bind(event.0).fetch_one(&mut *tx).await?;
        if violations > 0 {
            broken.push(*what);
        }
    }
    Ok(broken)
}

/// What must not be, and a count of how often it is. The ones from files look at every event: what they take for the
/// lowest number of a job, an event's id, is below all of them.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "1: a place was told to two who hold it, or to somebody who does not",
        // What winners were told, less what was freed since, is exactly what is claimed.
        "with told as (
             select 'seat ' || seat.value as place, (o.result ->> 'b')::uuid as booking_id
             from job_outcomes o, json_array_elements_text(o.result -> 's') as seat (value)
             where o.event_id = $1 and o.status = 'completed'
             union all
             select format('slot %s of %s', slot.value ->> 1, slot.value ->> 0), (o.result ->> 'b')::uuid
             from job_outcomes o, json_array_elements(o.result -> 'a') as slot (value)
             where o.event_id = $1 and o.status = 'completed'
         ), held as (
             select 'seat ' || seat_id as place, booking_id from seat_claims where event_id = $1
             union all
             select format('slot %s of %s', slot, area_id), booking_id from area_claims where event_id = $1
         ), facts as (
             select fact from outbox o, json_array_elements(o.facts) as fact
             where o.event_id = $1 and o.topic in ('reservation.expired', 'seat.released')
         ), freed as materialized (
             select 'seat ' || seat.value as place, (fact ->> 'bookingId')::uuid as booking_id
             from facts, json_array_elements_text(fact -> 'seatIds') as seat (value)
             union all
             select format('slot %s of %s', slot.value ->> 1, slot.value ->> 0), (fact ->> 'bookingId')::uuid
             from facts, json_array_elements(fact -> 'slots') as slot (value)
         )
         select count(*) from told
         full join held using (place, booking_id)
         where told.place is null
             or (held.place is null and not exists (
                 select 1 from freed f where f.place = told.place and f.booking_id = told.booking_id))",
    ),
    (
        "1: a seat is claimed that is another event's",
        include_str!("../../../../bench/src/figures/sql/foreign_seats.sql"),
    ),
    (
        "1: an area has more claims than capacity, or another event's",
        include_str!("../../../../bench/src/figures/sql/overfull_areas.sql"),
    ),
    (
        "2: sold + held + free is not the capacity of a tier",
        include_str!("../../../../bench/src/figures/sql/tier_sums.sql"),
    ),
    (
        "2: an event's capacity is not that of its seats and areas",
        "select count(*) from events e where e.id = $1 and e.capacity <>
             (select count(*) from seats s where s.event_id = e.id)
             + (select coalesce(sum(coalesce(a.cut_to, a.capacity)), 0) from areas a where a.event_id = e.id)",
    ),
    (
        "3: a later number was decided before an earlier one",
        include_str!("../../../../bench/src/figures/sql/inversions.sql"),
    ),
    (
        "4: a job has more than one outcome",
        // Whichever number it has: the nonce is the job's own.
        "select count(*) from (
             select nonce from job_outcomes where event_id = $1 and nonce <> 0
             group by nonce having count(*) > 1) x",
    ),
    (
        "4: what a job won is not what the outside was told of it",
        // One fact for every job that won something, in the same booking, and no other; who left at that very moment was told
        // of and has given it back.
        "with won as (
             select (result ->> 'b')::uuid as booking_id, user_id, count(*) as jobs,
                 sum(json_array_length(coalesce(result -> 's', '[]'))
                     + json_array_length(coalesce(result -> 'a', '[]'))) as places
             from job_outcomes w where event_id = $1 and status = 'completed' and not exists (
                 select from job_outcomes l where l.event_id = w.event_id and l.code = 'left' and l.user_id = w.user_id)
             group by 1, 2
         ), told as (
             select (fact ->> 'bookingId')::uuid as booking_id, (fact ->> 'userId')::bigint as user_id,
                 count(*) as jobs,
                 sum(json_array_length(coalesce(fact -> 'seatIds', '[]'))
                     + json_array_length(coalesce(fact -> 'slots', '[]'))) as places
             from outbox o, json_array_elements(o.facts) as fact
             where o.event_id = $1 and o.topic = 'seat.selected' and not exists (
                 select from job_outcomes l where l.event_id = o.event_id and l.code = 'left'
                     and l.user_id = (fact ->> 'userId')::bigint)
             group by 1, 2
         )
         select count(*) from won full join told using (booking_id, user_id)
         where won.jobs is distinct from told.jobs or won.places is distinct from told.places",
    ),
    (
        "4: a job won something in a booking that is not its shopper's",
        "select count(*) from job_outcomes o left join bookings b on b.id = (o.result ->> 'b')::uuid
         where o.event_id = $1 and o.status = 'completed'
             and (b.user_id, b.event_id) is distinct from (o.user_id, o.event_id)",
    ),
    (
        "5: a claim belongs to a booking that is closed, or of somebody else",
        "select count(*) from (
             select event_id, booking_id, user_id from seat_claims
             union all
             select event_id, booking_id, user_id from area_claims) c
         join bookings b on b.id = c.booking_id
         where c.event_id = $1 and (b.user_id <> c.user_id or b.event_id <> c.event_id
             or (b.status in ('cancelled', 'expired')))",
    ),
    (
        "a shopper has more places than one person may",
        "select count(*) from (
             select b.user_id from bookings b join (
                 select booking_id from seat_claims union all select booking_id from area_claims
             ) c on c.booking_id = b.id
             join events e on e.id = b.event_id
             where b.event_id = $1 group by b.user_id, e.seat_limit having count(*) > e.seat_limit) x",
    ),
    (
        "5: a place is sold without having been bought, or bought without being sold",
        "with sold as (
             select seat_id, null::bigint as area_id, null::integer as slot, booking_id from seat_claims
             where event_id = $1 and status = 'sold'
             union all
             select null, area_id, slot, booking_id from area_claims where event_id = $1 and status = 'sold'
         ), bought as (
             select seat_id, area_id, slot, booking_id from order_items where event_id = $1 and status = 'sold'
         )
         select (select count(*) from (select * from sold except all select * from bought) x)
             + (select count(*) from (select * from bought except all select * from sold) x)",
    ),
    (
        "6: what was bought has no ticket, nobody makes one, and its money is not being taken",
        "select count(*) from order_items i join orders o on o.id = i.order_id
         where i.event_id = $1 and i.status = 'sold'
             and not exists (select 1 from tickets t where t.order_item_id = i.id and t.status <> 'cancelled')
             and not exists (
                 select 1 from jobs j where j.queue = 'tickets' and j.status = 'waiting'
                     and j.payload ->> 'order' = o.id::text)
             and not exists (
                 select 1 from payments p
                 where p.order_id = o.id and p.status = 'authorized' and p.poll_at is not null)",
    ),
    (
        "6: a second payment for one order is kept",
        "select count(*) from (
             select p.order_id from payments p
             where p.status in ('authorized', 'captured')
                 and p.order_id in (select order_id from order_items where event_id = $1)
             group by p.order_id having count(*) > 1) x",
    ),
    (
        "6: money that was taken and is not kept does not go back as a whole",
        // Of a wrong amount goes back what was paid, which stands nowhere else.
        "select count(*) from (
             select p.amount_minor, p.currency, p.failure, (
                 select sum(r.amount_minor) from refunds r where r.payment_id = p.id and r.currency = p.currency
             ) as back, (select count(*) from refunds r where r.payment_id = p.id) as refunds
             from payments p
             where p.captured_at is not null and p.status = 'reversed'
                 and p.failure is distinct from 'charged_back'
                 and p.order_id in (select order_id from order_items where event_id = $1)) x
         where refunds = 0 or (failure is distinct from 'amount_mismatch' and back is distinct from amount_minor)",
    ),
    (
        "6: more goes back than was taken",
        "select count(*) from (
             select p.id from payments p join refunds r on r.payment_id = p.id
             where p.failure is distinct from 'amount_mismatch' and r.error is distinct from 'charged_back'
                 and p.order_id in (select order_id from order_items where event_id = $1)
             group by p.id, p.amount_minor having sum(r.amount_minor) > p.amount_minor) x",
    ),
    (
        "6: money is on its way back and nobody sends it",
        "select count(*) from refunds r
         where r.status = 'pending' and r.order_id in (select order_id from order_items where event_id = $1)
             and not exists (
                 select 1 from jobs j where j.queue = 'refunds' and j.status = 'waiting'
                     and j.payload ->> 'refund' = r.id::text)",
    ),
    (
        "6: a ticket is good for a place that is nobody's or somebody else's",
        "select count(*) from tickets t join order_items i on i.id = t.order_item_id
         join orders o on o.id = i.order_id
         where t.event_id = $1 and t.status <> 'cancelled' and (i.status <> 'sold' or o.user_id <> t.user_id)",
    ),
    (
        "6: an order is paid and nobody has paid for it",
        "select count(*) from orders o
         where o.status in ('paid', 'fulfilled', 'partially_refunded') and o.total_minor > 0
             and o.id in (select order_id from order_items where event_id = $1)
             and (select count(*) from payments p
                 where p.order_id = o.id and p.status in ('authorized', 'captured')) <> 1",
    ),
    (
        "6: money taken less money returned is not the price of what is sold",
        "select count(*) from (
             select o.id, (
                 select coalesce(sum(p.amount_minor), 0) from payments p
                 where p.order_id = o.id and p.status in ('authorized', 'captured')
             ) - (
                 select coalesce(sum(r.amount_minor), 0) from refunds r join payments p on p.id = r.payment_id
                 where r.order_id = o.id and p.status in ('authorized', 'captured')
             ) as kept, (
                 select coalesce(sum(i.price_minor), 0) from order_items i
                 where i.order_id = o.id and i.status = 'sold'
             ) as sold
             from orders o where o.id in (select order_id from order_items where event_id = $1)) x
         where kept <> sold",
    ),
];
