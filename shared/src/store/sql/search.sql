-- $1 the archive; $2 what was typed; $3 words and beginnings of words, or nothing; $4 events ranked at most;
-- $5 and $6 the first and last one wanted
with candidates as materialized (
    -- The soonest of them, or latest: words that are everywhere say little about any, and are met at once on the way through
    -- the index by time; words that are rare are looked up. The planner knows which are which.
    select event_id, sort_key, search from listed_events
    where is_past = $1 and sort_key >= first_sort_key($1, -9223372036854775807)
        -- What only says which words must not be there would be everything.
        and querytree(websearch_to_tsquery('russian', $2) || to_tsquery('simple', $3)) not in ('', 'T')
        and search @@ (websearch_to_tsquery('russian', $2) || to_tsquery('simple', $3))
    order by sort_key, event_id limit $4::bigint + 1
), ranked as (
    select event_id, sort_key,
        ts_rank(search, websearch_to_tsquery('russian', $2) || to_tsquery('simple', $3)) as rank
    from candidates
)
select coalesce((array_agg(event_id order by rank desc, sort_key, event_id))[$5:$6], '{}') as "ids!",
    count(*) as "total!"
from ranked
