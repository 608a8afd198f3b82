-- The rows of a batch. Any that is there already refuses the whole statement: telling which one is for the rare case,
-- and `on conflict` costs every row half as much again. $1 event, $2 fence, $3 holder, $4 until when reservations hold;
-- by column: $5… bookings, $7… outcomes, $13… seats, $16… slots, $20 addresses of refused ones, $22 who may stand by;
-- $21 one booking a shopper
with raised as (
    update lanes set fence = $2, holder = $3, version = version + 1 where event_id = $1
), opened as (
    -- One open booking a shopper and event.
    insert into bookings (id, event_id, user_id, expires_at, is_only)
    select id, $1, user_id, $4, $21 from unnest($5::uuid[], $6::bigint[]) as b (id, user_id)
), ended as (
    -- One outcome a job.
    insert into job_outcomes (event_id, number, nonce, user_id, status, code, result, ip, may_stand_by, refused_in)
    select $1, number, nonce, user_id, status, code, result::json, ip::inet, may_stand_by,
        -- For the audit log, which refusals are copied into later.
        case when code is not null then pg_current_xact_id() end
    from unnest($7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $20::text[],
            $22::boolean[])
        as o (number, nonce, user_id, status, code, result, ip, may_stand_by)
), seated as (
    -- One claim a seat.
    insert into seat_claims (seat_id, event_id, booking_id, user_id, status, expires_at)
    select seat_id, $1, booking_id, user_id, 'reserved', $4
    from unnest($13::bigint[], $14::uuid[], $15::bigint[]) as c (seat_id, booking_id, user_id)
)
-- One claim a slot.
insert into area_claims (area_id, slot, capacity, event_id, booking_id, user_id, status, expires_at)
select c.area_id, c.slot, a.capacity, $1, c.booking_id, c.user_id, 'reserved', $4
from unnest($16::bigint[], $17::integer[], $18::uuid[], $19::bigint[]) as c (area_id, slot, booking_id, user_id)
join areas a on a.id = c.area_id
