-- The oldest unsent rows of events. $1 events, $2 up to which number each was sent, $3 rows of each at most, $4 bytes after
-- which no further row of it is read
select asked.event_id as "event_id!", o.seq as "seq!", o.topic as "topic!", o.facts as "facts!",
    o.created_at as "created_at!"
from unnest($1::bigint[], $2::bigint[]) as asked (event_id, sent)
cross join lateral (
    select row.*, sum(octet_length(row.facts)) over (order by row.seq) - octet_length(row.facts) as before
    from (
        select seq, topic, facts::text as facts, created_at from outbox
        where outbox.event_id = asked.event_id and seq > asked.sent order by seq limit $3
    ) row
) o
where o.before < $4
order by asked.event_id, o.seq
