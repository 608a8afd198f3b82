-- Tickets of somebody as they stand now, newest first, with how many there are.
with shown as (
    select t.id, t.number, t.event_id, e.name, e.starts_at, t.issued_at, t.used_at, t.order_item_id,
        -- A show is over half a day after its beginning: events say only when they begin.
        case
            when t.status = 'valid' and coalesce(e.ends_at, e.starts_at + interval '12 hours') <= clock_timestamp() then 'expired'
            else t.status
        end as status
    from tickets t
    join events e on e.id = t.event_id
    where t.user_id = $1
)
select s.id, s.number, s.event_id, s.name, s.starts_at, s.issued_at, s.used_at, s.status as "status!",
    i.place, i.tier_name, i.price_minor, i.order_id, o.currency, count(*) over () as "total!"
from shown s
join order_items i on i.id = s.order_item_id
join orders o on o.id = i.order_id
where $2::text is null or s.status = $2
order by s.issued_at desc, s.id desc
offset $3 limit $4
