-- Open bookings with something that has run out, locked; $1 how many at most.
with due as (
    (select booking_id from seat_claims
     where status = 'reserved' and expires_at <= clock_timestamp() order by expires_at limit $1)
    union
    (select booking_id from area_claims
     where status = 'reserved' and expires_at <= clock_timestamp() order by expires_at limit $1)
    union
    (select id from bookings
     where status = 'created' and expires_at <= clock_timestamp() order by expires_at limit $1)
)
select id from bookings
-- As an array, so that each is looked up by its key whatever the planner thinks of their number.
where id = any (array(select booking_id from due)) and status = 'created'
order by id
-- Whoever has one locked is changing it right now; the next pass looks again.
for update skip locked
