-- Reservations of bookings that have run out are deleted and returned; of those that are left, until when. They are found
-- again by their keys: an area that changes its size rewrites its claims, whoever has their bookings locked. $1 bookings
with seats as materialized (
    select seat_id, status = 'reserved' and expires_at <= clock_timestamp() as is_over, booking_id, expires_at
    from seat_claims where booking_id = any($1)
), slots as materialized (
    select area_id, slot, status = 'reserved' and expires_at <= clock_timestamp() as is_over, booking_id, expires_at
    from area_claims where booking_id = any($1)
), gone_seats as (
    delete from seat_claims c using seats s where c.seat_id = s.seat_id and s.is_over
    returning c.event_id, c.booking_id, c.user_id, c.seat_id
), gone_slots as (
    delete from area_claims c using slots s where c.area_id = s.area_id and c.slot = s.slot and s.is_over
    returning c.event_id, c.booking_id, c.user_id, c.area_id, c.slot
)
select event_id as "event_id!", booking_id as "booking_id!", user_id as "user_id!", seat_id,
    null::bigint as area_id, null::integer as slot, null::timestamptz as left_until
from gone_seats
union all
select event_id, booking_id, user_id, null, area_id, slot, null from gone_slots
union all
select 0, booking_id, 0, null, null, null, expires_at from seats where not is_over and expires_at is not null
union all
select 0, booking_id, 0, null, null, null, expires_at from slots where not is_over and expires_at is not null
