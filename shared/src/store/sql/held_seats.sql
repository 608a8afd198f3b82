-- Seats in bookings, and what each costs: once it is in an order what it costs there, before that what its tier costs now.
-- $1 bookings, $2 those of them that are kept whatever the clock says
select c.booking_id as "booking_id!", c.seat_id as "seat_id!", c.expires_at as "expires_at?",
    coalesce(i.price_minor, t.price_minor) as "price_minor?", coalesce(i.currency, t.currency) as "currency?"
from seat_claims c
left join seats s on s.id = c.seat_id
left join price_tiers t on t.id = s.tier_id
left join lateral (
    select i.price_minor, o.currency from order_items i join orders o on o.id = i.order_id
    where i.booking_id = c.booking_id and i.seat_id = c.seat_id and i.status in ('held', 'sold')
    order by i.id desc limit 1
) i on true
where c.booking_id = any($1)
    and (c.status = 'sold' or c.expires_at > clock_timestamp() or c.booking_id = any($2))
order by c.seat_id
