-- Jobs of named queues (mail, refunds, tickets): written in the transaction of the fact they follow from, so that a
-- committed fact is never without its job. Redis has a copy of what is not finished and gives it its order.
create table jobs (
    id uuid primary key,
    queue text not null,
    -- Jobs of one lane are begun in their order.
    lane smallint not null,
    payload json not null,
    run_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    -- The epoch of Redis in which it was queued; it is queued anew in every other one.
    queued_in text,
    attempts integer not null default 0,
    error text,
    finished_at timestamptz,
    status text not null default 'waiting',
    constraint jobs_lane_bounded check (lane between 0 and 63),
    constraint jobs_status_known check (status in ('waiting', 'completed', 'failed', 'removed')),
    constraint jobs_finished_with_status check ((finished_at is null) = (status = 'waiting'))
);
create index jobs_unfinished on jobs (queue, created_at, id) where finished_at is null;
create index jobs_finished on jobs (finished_at) where finished_at is not null;

-- Limits beside pauses: so many jobs in a window, so many lanes at the same time; of a lane or a whole queue.
alter table queue_controls add column queue text not null default 'bookings';
alter table queue_controls drop constraint queue_controls_pkey, add primary key (queue, event_id);
alter table queue_controls
    add column rate_max integer,
    add column rate_ms integer,
    add column lanes_at_once integer,
    add constraint queue_controls_rate check ((rate_max is null) = (rate_ms is null)),
    add constraint queue_controls_bounded
        check (rate_max > 0 and rate_ms between 1 and 86400000 and lanes_at_once > 0);
