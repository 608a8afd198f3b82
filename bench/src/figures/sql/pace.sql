-- How fast jobs were decided: from the end of the first batch to the end of the last one, so that neither the wait
-- for the first claim counts nor the first batch's jobs. $1 events; $2 from when
with decided as (
    -- A batch is a transaction.
    select event_id, xmin::text as batch, decided_at from job_outcomes where event_id = any($1) and decided_at > $2
), batches as (
    select max(decided_at) as ended from decided group by event_id, batch
), first as (
    select min(ended) as ended, count(*) as batches from batches
)
select count(*), coalesce(extract(epoch from max(decided_at) - first.ended), 0)::float8, first.batches
from first left join decided on decided_at > first.ended
group by first.ended, first.batches
