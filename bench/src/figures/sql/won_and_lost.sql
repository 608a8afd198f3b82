-- Seats that a job was told it won, and that its shopper does not have. $1 the lowest number that is looked at.
select count(*) from job_outcomes o
cross join json_array_elements_text(o.result -> 's') as seat
left join seat_claims c on c.seat_id = seat::bigint and c.booking_id = (o.result ->> 'b')::uuid
    and c.user_id = o.user_id
where o.number >= $1 and o.status = 'completed' and c.seat_id is null
