-- A broker may have lost what topics had: what a group has not handled is sent again, and what was told in the last
-- minute. $1 the topics; $2, $3 groups and the topics they handle
with numbered as (
    select o.event_id, o.seq, o.topic, o.created_at,
        lead(o.seq, 1, c.last + 1) over (partition by o.event_id order by o.seq) - 1 as until
    from outbox o join outbox_counters c on c.event_id = o.event_id
), firsts as (
    select n.event_id, min(n.seq) as seq from numbered n
    where n.topic = any($1) and (
        n.created_at > clock_timestamp() - interval '1 minute'
        or exists (
            select 1 from unnest($2::text[], $3::text[]) as handled (grp, topic)
            left join stream_marks m
                on m.grp = handled.grp and m.topic = handled.topic and m.event_id = n.event_id
            where handled.topic = n.topic and n.until > coalesce(m.seq, 0)
        )
    )
    group by n.event_id
)
update outbox_relays r set sent = f.seq - 1, relay = null, leased_until = null
from firsts f
where r.event_id = f.event_id and r.sent >= f.seq
