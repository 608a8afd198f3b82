-- Claims that are alive, in a booking that is not, or of somebody else's. $1 is not used here.
select count(*) from (
    select booking_id, event_id, user_id, status, expires_at from seat_claims
    union all
    select booking_id, event_id, user_id, status, expires_at from area_claims
) c
join bookings b on b.id = c.booking_id
where (c.status = 'sold' or c.expires_at > clock_timestamp())
    and (b.status not in ('created', 'pending_payment', 'paid')
        or b.user_id <> c.user_id or b.event_id <> c.event_id)
    and $1::bigint is not null
