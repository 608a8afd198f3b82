-- Jobs that were decided after one of a higher number in their lane. Who left was not decided in turn; who may stand
-- by was decided once already, and is counted by `left_out.sql`. $1 the lowest number that is looked at.
select count(*) from (
    select decided_at, may_stand_by,
        min(decided_at) over (
            partition by event_id order by number desc rows between unbounded preceding and 1 preceding
        ) as earliest_behind
    from job_outcomes
    where number >= $1 and coalesce(code, '') not in ('left', 'removed')
) o
where decided_at > earliest_behind and not may_stand_by
