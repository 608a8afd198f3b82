-- Jobs that were decided before one of a lower number in their lane. Who left was not decided in turn.
-- $1 the lowest number that is looked at.
select count(*) from (
    select decided_at,
        max(decided_at) over (
            partition by event_id order by number rows between unbounded preceding and 1 preceding
        ) as latest_before
    from job_outcomes
    where number >= $1 and coalesce(code, '') not in ('left', 'removed')
) o
where decided_at < latest_before
