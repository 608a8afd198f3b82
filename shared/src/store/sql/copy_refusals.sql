-- Copies refused bookings into the audit log, in the order of the transactions that wrote them. $1 how many
with cursor as (
    select refused_in, event_id, number from audit_cursors where name = 'refusals' for update
), page as materialized (
    select o.refused_in, o.event_id, o.number, o.decided_at, o.ip, o.user_id, o.code
    from cursor c, lateral (
        select * from job_outcomes o
        where o.refused_in is not null
            and (o.refused_in, o.event_id, o.number) > (c.refused_in, c.event_id, c.number)
            -- Whoever may still write an earlier one has a number from here on.
            and o.refused_in < pg_snapshot_xmin(pg_current_snapshot())
        order by o.refused_in, o.event_id, o.number
        limit $1
    ) o
), copied as (
    insert into audit_log (at, ip, user_id, action, object, result)
    select decided_at, ip, user_id, 'booking.refuse', format('job %s of event %s', number, event_id), code from page
), last as (
    select refused_in, event_id, number from page order by refused_in desc, event_id desc, number desc limit 1
)
update audit_cursors set refused_in = last.refused_in, event_id = last.event_id, number = last.number
from last where name = 'refusals'
returning (select count(*) from page) as "copied!"
