//! What holds at the end of everything (the invariants of `docs/ARCHITECTURE.md`), read from PostgreSQL.

use shared::domain::EventId;
use shared::store::Store;
use sqlx::{Connection as _, PgConnection};

use super::TestResult;

/// Checks all of them for an event.
pub(crate) async fn assert_invariants(store: &Store, event: EventId) -> TestResult {
    assert_invariants_but_order(store, event).await?;
    let mut connection = store.pool().acquire().await?;
    assert_eq!(broken(&mut connection, event, &[ORDER]).await?, [""; 0]);
    Ok(())
}

/// The same where jobs stood by: they were decided once in their order already, and got nothing then.
pub(crate) async fn assert_invariants_but_order(store: &Store, event: EventId) -> TestResult {
    let mut connection = store.pool().acquire().await?;
    assert_eq!(broken_invariants(&mut connection, event).await?, [""; 0]);
    Ok(())
}

/// Those that do not hold, but for the order of decisions.
pub(crate) async fn broken_invariants(
    connection: &mut PgConnection,
    event: EventId,
) -> Result<Vec<&'static str>, sqlx::Error> {
    broken(connection, event, INVARIANTS).await
}

async fn broken(
    connection: &mut PgConnection,
    event: EventId,
    invariants: &[(&'static str, &'static str)],
) -> Result<Vec<&'static str>, sqlx::Error> {
    let mut broken = Vec::new();
    let mut tx = connection.begin().await?;
    // Usher's statements are short; these read all that there is.
    sqlx::raw_sql("set local statement_timeout = 0").execute(&mut *tx).await?;
    for (what, sql) in invariants {
        let violations: i64 = sqlx::query_scalar(*sql).bind(event.0).fetch_one(&mut *tx).await?;
        if violations > 0 {
            broken.push(*what);
        }
    }
    Ok(broken)
}

const ORDER: (&str, &str) = (
    "3: a later number was decided before an earlier one",
    "select count(*) from (
         select decided_at, lag(decided_at) over (order by number) as before
         from job_outcomes where event_id = $1 and coalesce(code, '') not in ('left', 'removed')) x
     where before > decided_at",
);

const INVARIANTS: &[(&str, &str)] = &[
    (
        "1: a place was told to two who hold it, or to somebody who does not",
        // What winners were told, less what was freed since, is exactly what is claimed.
        "with told as (
             select (seat.value)::bigint as seat_id, (o.result ->> 'b')::uuid as booking_id
             from job_outcomes o, jsonb_array_elements_text(o.result -> 's') as seat (value)
             where o.event_id = $1 and o.status = 'completed'
         ), freed as materialized (
             select (seat.value)::bigint as seat_id, (fact ->> 'bookingId')::uuid as booking_id
             from outbox o, json_array_elements(o.facts) as fact,
                 json_array_elements_text(fact -> 'seatIds') as seat (value)
             where o.event_id = $1 and o.topic in ('reservation.expired', 'seat.released')
         )
         select count(*) from told
         full join (select seat_id, booking_id from seat_claims where event_id = $1) held
             using (seat_id, booking_id)
         where told.seat_id is null
             or (held.seat_id is null and not exists (
                 select 1 from freed f where f.seat_id = told.seat_id and f.booking_id = told.booking_id))",
    ),
    (
        "1: an area has more claims than capacity",
        "select count(*) from (
             select a.id from areas a join area_claims c on c.area_id = a.id
             where a.event_id = $1 group by a.id, a.capacity having count(*) > a.capacity) x",
    ),
    (
        "2: sold + held + free is not the capacity",
        "select count(*) from (
             select count(*) as capacity,
                 count(*) filter (where status = 'available') + count(*) filter (where status = 'reserved')
                     + count(*) filter (where status = 'sold') as counted
             from seat_status where event_id = $1) x where capacity <> counted",
    ),
    (
        "4: a job has more than one outcome",
        "select count(*) from (
             select number from job_outcomes where event_id = $1 group by number having count(*) > 1) x",
    ),
    (
        "5: a claim belongs to a booking that is closed, or of somebody else",
        "select count(*) from seat_claims c join bookings b on b.id = c.booking_id
         where c.event_id = $1 and (b.user_id <> c.user_id or b.event_id <> c.event_id
             or (b.status in ('cancelled', 'expired')))",
    ),
    (
        "a shopper has more places than one person may",
        "select count(*) from (
             select b.user_id from bookings b join seat_claims c on c.booking_id = b.id
             join events e on e.id = b.event_id
             where b.event_id = $1 group by b.user_id, e.seat_limit having count(*) > e.seat_limit) x",
    ),
    (
        "5: a place is sold without having been bought, or bought without being sold",
        "select count(*) from (select * from seat_claims where event_id = $1 and status = 'sold') c
         full join (select * from order_items where event_id = $1 and status = 'sold' and seat_id is not null) i
             using (seat_id, booking_id)
         where c.event_id is null or i.id is null",
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
