-- $1 one event's id
select
    e.id, e.name, e.description, v.name as venue, v.city, v.address, e.starts_at, e.ends_at, e.sales_open_at,
    e.sales_close_at, e.seat_limit, e.hold_seconds, e.layout_version, clock_timestamp() as "read_at!",
    e.capacity, e.status = 'cancelled' as "is_cancelled!",
    cheapest.price_minor as "price_minor?", cheapest.currency as "currency?"
from events e
join venues v on v.id = e.venue_id
left join lateral (
    select t.price_minor, t.currency from price_tiers t
    where t.event_id = e.id order by t.price_minor, t.id limit 1
) cheapest on true
where e.id = $1
