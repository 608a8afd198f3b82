-- $1 ids of tickets; $2 hours after its beginning from which on an event is over
select
    t.id, t.number, t.event_id, t.user_id, t.issued_at, t.used_at, t.used_gate, t.cancelled_at,
    -- What has not been used is worth as much as its event.
    case
        when t.status = 'valid' and e.status = 'cancelled' then 'cancelled'
        when t.status = 'valid' and coalesce(e.ends_at, e.starts_at + make_interval(hours => $2)) <= clock_timestamp() then 'expired'
        else t.status
    end as "status!",
    i.order_id, i.place, i.tier_name, i.price_minor, o.currency,
    e.name as event_name, e.starts_at, v.name as venue, v.city, v.time_zone,
    e.starts_at at time zone v.time_zone as "starts_there!",
    array(
        select a.name from event_artists ea join artists a on a.id = ea.artist_id
        where ea.event_id = e.id order by ea.position
    ) as "artists!",
    u.first_name, u.last_name, u.language, clock_timestamp() as "read_at!"
from tickets t
join order_items i on i.id = t.order_item_id
join orders o on o.id = i.order_id
join events e on e.id = t.event_id
join venues v on v.id = e.venue_id
join users u on u.id = t.user_id
where t.id = any($1)
order by t.issued_at desc, t.id desc
