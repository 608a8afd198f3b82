-- The booking queue's side in PostgreSQL.

-- One row an event: the fence that keeps a worker out whose lease was lost, and a version that rises with
-- every batch, so that what was read before the lock is known to hold still under it.
create table lanes (
    event_id bigint primary key references events (id) on delete cascade,
    fence bigint not null default 0,
    holder text not null default '',
    version bigint not null default 0
);

-- How each job ended: a second delivery reads the first outcome back. `result` as shoppers get it.
create table job_outcomes (
    event_id bigint not null,
    number bigint not null,
    nonce bigint not null,
    user_id bigint not null,
    status text not null,
    code text,
    result jsonb,
    decided_at timestamptz not null default clock_timestamp(),
    primary key (event_id, number),
    constraint job_outcomes_status_known check (status in ('completed', 'failed')),
    constraint job_outcomes_code_with_failure check ((status = 'failed') = (code is not null))
);

-- Pauses and limits outlive Redis; event 0 is the whole queue.
create table queue_controls (
    event_id bigint primary key,
    paused boolean not null default false,
    message text,
    changed_by bigint,
    changed_at timestamptz not null default clock_timestamp()
);

-- Facts for the outside, in order per event.
create table outbox_counters (
    event_id bigint primary key references events (id) on delete cascade,
    last bigint not null default 0
);
create table outbox (
    event_id bigint not null,
    seq bigint not null,
    topic text not null,
    payload jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (event_id, seq)
);

create table audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    ip inet,
    user_id bigint,
    action text not null,
    object text not null,
    result text not null
);
create index audit_log_by_time on audit_log (at);
