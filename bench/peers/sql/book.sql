-- $1 event; $2 user; $3 quantity; $4 seat; $5 job. One statement is one transaction and one round trip: the least that
-- a booking can cost a worker.
with booking as (
    insert into peer.bookings (event_id, user_id, quantity) values ($1, $2, $3) returning id
), claim as (
    insert into peer.seat_claims (event_id, seat, booking_id) select $1, $4, id from booking
)
insert into peer.outcomes (job_id, booking_id, status) select $5, id, 'completed' from booking
