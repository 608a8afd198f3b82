-- From a job's number, which is Redis's clock in µs, to the commit of its outcome: p50, p95 and p99 in ms. $1 event
select coalesce(q[1], 0), coalesce(q[2], 0), coalesce(q[3], 0) from (
    select percentile_cont(array[0.5, 0.95, 0.99]) within group (
        order by (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000 - number)::float8 / 1000
    ) as q
    -- Without the first booking, with which the worker read the layout.
    from (select xmin, number from job_outcomes where event_id = $1 order by number offset 1) jobs
) quantiles
