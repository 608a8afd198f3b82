-- $1 event; $2 user; $3 quantity; $4 seat; $5 job. The rows that Usher writes for a reservation, in one statement.
with booking as (
    insert into peer.open_bookings (id, event_id, user_id, expires_at)
    values (gen_random_uuid(), $1, $2, clock_timestamp() + interval '15 minutes')
    returning id, expires_at
), claim as (
    insert into peer.held_seats (seat_id, event_id, booking_id, user_id, status, expires_at)
    select $4, $1, id, $2, 'reserved', expires_at from booking
), facts as (
    insert into peer.facts (event_id, topic, fact)
    select $1, topic, json_build_object('bookingId', id, 'userId', $2::bigint, 'seatIds', array[$4::integer], 'quantity', $3::integer)
    from booking, unnest(array['booking.created', 'seat.selected']) as topic
)
insert into peer.job_outcomes (job_id, user_id, status, result)
select $5, $2, 'completed', jsonb_build_object('booking', id, 'seats', array[$4::integer], 'until', expires_at) from booking
