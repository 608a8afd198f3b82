-- $1 one event's id or null for all that have not begun; $2 offset; $3 limit
select
    e.id, e.name, e.description, v.name as venue, v.city, e.starts_at, e.sales_open_at, e.sales_close_at,
    e.seat_limit, e.hold_seconds, e.layout_version, clock_timestamp() as "read_at!",
    e.capacity,
    cheapest.price_minor as "price_minor?", cheapest.currency as "currency?"
from events e
join venues v on v.id = e.venue_id
left join lateral (
    select t.price_minor, t.currency from price_tiers t
    where t.event_id = e.id order by t.price_minor, t.id limit 1
) cheapest on true
where ($1::bigint is not null and e.id = $1)
    or ($1::bigint is null and e.starts_at > clock_timestamp())
order by e.starts_at, e.id
offset $2 limit $3
