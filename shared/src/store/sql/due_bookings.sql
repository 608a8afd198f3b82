-- Open bookings with something that has run out; $1 how many at most, $2 which half: the last bit of their ids.
-- Each is looked up by its key (`limit 1` says so) whatever the planner thinks of their number.
(select c.booking_id as "id!" from seat_claims c, lateral (
     select 1 from bookings b where b.id = c.booking_id and b.status = 'created' limit 1
 ) open
 where c.status = 'reserved' and c.expires_at <= clock_timestamp()
     and get_byte(uuid_send(c.booking_id), 15) & 1 = $2
 order by c.expires_at limit $1)
union
(select c.booking_id from area_claims c, lateral (
     select 1 from bookings b where b.id = c.booking_id and b.status = 'created' limit 1
 ) open
 where c.status = 'reserved' and c.expires_at <= clock_timestamp()
     and get_byte(uuid_send(c.booking_id), 15) & 1 = $2
 order by c.expires_at limit $1)
union
(select id from bookings
 where status = 'created' and expires_at <= clock_timestamp() and get_byte(uuid_send(id), 15) & 1 = $2
 order by expires_at limit $1)
