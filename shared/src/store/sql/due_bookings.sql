-- Open bookings with something that has run out; $1 how many at most, $2 which half: the last bit of their ids
with due as (
    (select booking_id from seat_claims
     where status = 'reserved' and expires_at <= clock_timestamp()
         and get_byte(uuid_send(booking_id), 15) & 1 = $2
     order by expires_at limit $1)
    union
    (select booking_id from area_claims
     where status = 'reserved' and expires_at <= clock_timestamp()
         and get_byte(uuid_send(booking_id), 15) & 1 = $2
     order by expires_at limit $1)
    union
    (select id from bookings
     where status = 'created' and expires_at <= clock_timestamp() and get_byte(uuid_send(id), 15) & 1 = $2
     order by expires_at limit $1)
)
-- One by one, so that each is looked up by its key whatever the planner thinks of their number.
select b.id from due, lateral (
    select id from bookings where id = due.booking_id and status = 'created' limit 1
) b
