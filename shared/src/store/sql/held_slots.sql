-- The same of places in areas
select c.booking_id as "booking_id!", c.area_id as "area_id!", c.slot as "slot!", c.expires_at as "expires_at?",
    coalesce(i.price_minor, t.price_minor) as "price_minor?", coalesce(i.currency, t.currency) as "currency?"
from area_claims c
left join areas a on a.id = c.area_id
left join price_tiers t on t.id = a.tier_id
left join lateral (
    select i.price_minor, o.currency from order_items i join orders o on o.id = i.order_id
    where i.booking_id = c.booking_id and i.area_id = c.area_id and i.slot = c.slot and i.status in ('held', 'sold')
    order by i.id desc limit 1
) i on true
where c.booking_id = any($1)
    and (c.status = 'sold' or c.expires_at > clock_timestamp() or c.booking_id = any($2))
order by c.area_id, c.slot
