-- Requests that came with an idempotency key, and what was answered: sealed, so that the row alone tells nothing.
create table idempotent_requests (
    -- SHA-256 of who asked, where, and with which key.
    id bytea primary key,
    -- SHA-256 of the body: another one under the same key is refused.
    body_hash bytea not null,
    -- Null while the first request is being worked on.
    answer bytea,
    created_at timestamptz not null default clock_timestamp()
);
create index idempotent_requests_by_time on idempotent_requests (created_at);
