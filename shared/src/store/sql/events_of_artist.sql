-- $1 the archive; $2 and $3 the range of sort keys; $4 and $5 the first and last one wanted; $6 events at most;
-- $7 a name; $8 or an id; $9 a genre or null; $10 a city or null
select coalesce((array_agg(event_id order by sort_key, event_id))[$4:$5], '{}') as "ids!", count(*) as "total!"
from (
    select distinct l.sort_key, l.event_id
    from (
        select id from artists where lower(name) = lower($7)
        union
        select $8::bigint where $8 is not null
    ) a
    join event_artists ea on ea.artist_id = a.id
    join listed_events l on l.event_id = ea.event_id
    where l.is_past = $1 and l.sort_key >= first_sort_key($1, $2) and l.sort_key < $3
        and ($9::text is null or lower($9) = any(l.genres)) and ($10::text is null or l.city_key = lower($10))
    order by l.sort_key, l.event_id limit $6
) found
