-- What people did in the last $1 minutes, by minute. Orders are few enough to be counted where they stand.
with span as (
    select date_trunc('minute', statement_timestamp()) - make_interval(mins => $1 - 1) as start
), counted as (
    select minute, kind, count from activity_minutes, span where minute >= span.start
    union all
    select date_trunc('minute', o.created_at), 'order', count(*) from orders o, span
    where o.created_at >= span.start group by 1
)
select minute as "at!",
    coalesce(sum(count) filter (where kind = 'registration'), 0)::bigint as "registrations!",
    coalesce(sum(count) filter (where kind = 'login'), 0)::bigint as "logins!",
    coalesce(sum(count) filter (where kind = 'booking'), 0)::bigint as "bookings!",
    coalesce(sum(count) filter (where kind = 'refusal'), 0)::bigint as "refusals!",
    coalesce(sum(count) filter (where kind = 'order'), 0)::bigint as "orders!"
from counted group by minute order by minute desc
