-- $1 whose
select count(b.id) as "total!",
    -- An open booking that has run out counts as expired, whether or not the sweeper has been there.
    count(b.id) filter (where b.status = 'created' and b.expires_at > clock_timestamp()) as "created!",
    count(b.id) filter (where b.status = 'pending_payment') as "pending_payment!",
    count(b.id) filter (where b.status = 'paid') as "paid!",
    count(b.id) filter (where b.status = 'cancelled') as "cancelled!",
    count(b.id) filter (where b.status = 'expired'
        or (b.status = 'created' and b.expires_at <= clock_timestamp())) as "expired!",
    count(distinct b.event_id) as "events!",
    coalesce(sum(held.held), 0)::bigint as "held!",
    coalesce(sum(held.sold), 0)::bigint as "sold!",
    max(b.created_at) as last_booked_at
from users u
left join bookings b on b.user_id = u.id
left join lateral (
    -- What is being paid for is held until its order is closed, whatever the clock says.
    select count(*) filter (where c.status = 'reserved'
            and (c.expires_at > clock_timestamp() or b.status = 'pending_payment')) as held,
        count(*) filter (where c.status = 'sold') as sold
    from (
        select status, expires_at from seat_claims where booking_id = b.id
        union all
        select status, expires_at from area_claims where booking_id = b.id
    ) c
) held on true
where u.id = $1
group by u.id
