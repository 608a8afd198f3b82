-- Reservations of an event that have run out and that nobody has swept yet. They are looked for from the bookings that
-- are due; when those are many, which may hold nothing any more and wait to be closed, from the claims. $1 event; $2 how
-- many bookings are few, and how many claims of either kind are looked for from themselves
with due as materialized (
    select id from bookings
    where event_id = $1 and status = 'created' and expires_at <= statement_timestamp() limit $2
), few as materialized (
    select count(*) < $2 as is_all from due
)
select c.seat_id, null::bigint as area_id, null::integer as slot from due join seat_claims c on c.booking_id = due.id
where (select is_all from few) and c.status = 'reserved' and c.expires_at <= clock_timestamp()
union all
select null, c.area_id, c.slot from due join area_claims c on c.booking_id = due.id
where (select is_all from few) and c.status = 'reserved' and c.expires_at <= clock_timestamp()
union all
(
    select c.seat_id, null, null from seat_claims c join bookings b on b.id = c.booking_id
    where not (select is_all from few) and c.event_id = $1 and c.status = 'reserved'
        and c.expires_at <= clock_timestamp() and b.status = 'created' limit $2
)
union all
(
    select null, c.area_id, c.slot from area_claims c join bookings b on b.id = c.booking_id
    where not (select is_all from few) and c.event_id = $1 and c.status = 'reserved'
        and c.expires_at <= clock_timestamp() and b.status = 'created' limit $2
)
