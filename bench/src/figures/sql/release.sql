-- What expiring bookings comes down to. $1 the bookings
with gone as (
    delete from seat_claims where booking_id = any($1) returning booking_id
)
update bookings set status = 'expired', closed_at = clock_timestamp() where id in (select booking_id from gone)
