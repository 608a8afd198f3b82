-- $1 the archive; $2 what was typed; $3 words and beginnings of words to be looked for in place of it, or nothing; $4 events
-- ranked at most; $5 events that are read as they come; $6 entries of the index that are read; $7 events that are known to
-- have what was typed; $8 events that are read because the index names them
with recursive asked as materialized (
    select query, marked_query(query) as marked
    from (select case when $3 = '' then websearch_to_tsquery('russian', $2) else to_tsquery('simple', $3) end as query) made
    -- What only says which words must not be there would be everything.
    where querytree(query) not in ('', 'T')
), soonest as materialized (
    -- Words that are everywhere are met at once among the soonest, or latest.
    select event_id, sort_key, search from (
        select event_id, sort_key, search from listed_events
        where is_past = $1 and sort_key >= first_sort_key($1, -9223372036854775807)
        order by sort_key, event_id limit $5
    ) read, asked where search @@ query limit $4::bigint + 1
), first as materialized (
    -- Where these were too few, and there are more: from which period on, and how many events a period has here.
    select listing_period(low.sort_key) as period, $5 * 2.0 ^ 40 / greatest(high.sort_key - low.sort_key, 1) as events
    from (
        select sort_key from listed_events
        where is_past = $1 and sort_key >= first_sort_key($1, -9223372036854775807)
        order by sort_key, event_id limit 1
    ) low, (
        select sort_key from listed_events
        where is_past = $1 and sort_key >= first_sort_key($1, -9223372036854775807)
        order by sort_key, event_id offset $5 limit 1
    ) high
    where (select count(*) from soonest) <= $4 and exists (select 1 from asked)
), reach as materialized (
    -- Of words that are everywhere fewer periods are looked through, unless there are few events at all.
    select case when c.reltuples < 100000 then 'infinity'
        else ceil($6 / (events * share_to_read($1, marked))) end as periods
    from first, asked, pg_class c
    where c.oid = case when $1 then 'events_archive'::regclass else 'event_listings'::regclass end
), periods (period, place) as (
    select period, 1 from first
    union all
    -- The next one in which there is anything.
    select (
        select listing_period(sort_key) from listed_events
        where is_past = $1 and sort_key >= (p.period + 1) << 40 order by sort_key limit 1), place + 1
    from periods p where p.period is not null and place <= (select periods from reach)
), met as materialized (
    -- Each period is looked through only when those before it had too few.
    select found.event_id, found.sort_key, found.search
    from periods p cross join asked a cross join lateral (
        select event_id, sort_key, search from (
            select event_id, sort_key, search from listed_events
            where is_past = $1 and period_words(sort_key, search) @@ period_query(p.period, a.marked)
                and sort_key >= first_sort_key($1, -9223372036854775807)
            -- Else the planner would read by time, for as long as it takes.
            offset 0
        ) all_of_period order by sort_key, event_id limit $8
    ) found
    where p.period is not null and p.place <= (select periods from reach)
    limit $8
), further as (
    -- What the index does not know is seen in the events themselves.
    select event_id, sort_key, search from met, asked where search @@ query limit $4::bigint + 1
), candidates as (
    select event_id, sort_key, search from soonest where not exists (select 1 from first)
    union all
    select event_id, sort_key, search from further
), known as (
    select event_id, sort_key, search from listed_events where is_past = $1 and event_id = any($7::bigint[])
), ranked as (
    select event_id, sort_key,
        ts_rank(search, websearch_to_tsquery('russian', $2) || to_tsquery('simple', $3)) as rank
    from (
        select event_id, sort_key, search from candidates
        union all
        select event_id, sort_key, search from known k
        where not exists (select 1 from candidates c where c.event_id = k.event_id)
        order by sort_key, event_id limit $4::bigint + 1
    ) found
)
select coalesce(array_agg(event_id order by rank desc, sort_key, event_id), '{}') as "ids!",
    least(count(*), $4) as "total!",
    -- More than are ranked; or what was looked through ended before the events did.
    count(*) > $4 or (select count(*) from met) = $8 or exists (
        select 1 from periods where period is not null and place > (select periods from reach)) as "is_more!"
from ranked
