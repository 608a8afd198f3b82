-- $1 event; $2 seats; $3 a booking for each; $4 whose; $5 until when, ms since 1970
with one as (
    select * from unnest($2::bigint[], $3::uuid[], $4::bigint[]) as one (seat_id, booking_id, user_id)
), booked as (
    insert into bookings (id, event_id, user_id, expires_at)
    select booking_id, $1, user_id, to_timestamp($5 / 1000.0) from one
)
insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
select seat_id, $1, booking_id, user_id, 'reserved', to_timestamp($5 / 1000.0) from one
