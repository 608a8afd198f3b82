-- How events stand now, and what was counted. $1 one event, or null: those at which most was reserved; $2 from, $3 to, $4 how
-- many at most
with counted as (
    select f.event_id, sum(f.bookings) as bookings, sum(f.bookings_paid) as bookings_paid, sum(f.reserved) as reserved,
        sum(f.released) as released, sum(f.orders_paid) as orders_paid, sum(f.sold) as sold, sum(f.refunded) as refunded
    from event_figures f
    where ($1::bigint is null or f.event_id = $1) and f.minute >= date_trunc('minute', $2::timestamptz) and f.minute < $3
    group by f.event_id
), wanted as (
    select e.id, e.name, e.capacity, c.* from events e left join counted c on c.event_id = e.id
    where case when $1::bigint is null then c.event_id is not null else e.id = $1 end
    order by c.reserved + c.sold desc nulls last, e.id limit $4
)
select w.id as "event_id!", w.name as "name!", w.capacity::bigint as "capacity!",
    (seats.held + slots.held)::bigint as "held!", (seats.sold + slots.sold)::bigint as "sold_now!",
    coalesce(w.bookings, 0)::bigint as "bookings!", coalesce(w.bookings_paid, 0)::bigint as "bookings_paid!",
    coalesce(w.reserved, 0)::bigint as "reserved!", coalesce(w.released, 0)::bigint as "released!",
    coalesce(w.orders_paid, 0)::bigint as "orders_paid!", coalesce(w.sold, 0)::bigint as "sold!",
    coalesce(w.refunded, 0)::bigint as "refunded!"
from wanted w
-- What is being paid for is held until its order is closed, whatever the clock says.
cross join lateral (
    select count(*) filter (where c.status = 'reserved' and (c.expires_at > clock_timestamp()
            or (select b.status = 'pending_payment' from bookings b where b.id = c.booking_id))) as held,
        count(*) filter (where c.status = 'sold') as sold
    from seat_claims c where c.event_id = w.id
) seats
cross join lateral (
    select count(*) filter (where c.status = 'reserved' and (c.expires_at > clock_timestamp()
            or (select b.status = 'pending_payment' from bookings b where b.id = c.booking_id))) as held,
        count(*) filter (where c.status = 'sold') as sold
    from area_claims c where c.event_id = w.id
) slots
