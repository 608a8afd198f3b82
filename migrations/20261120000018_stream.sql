-- The event stream. How far the outbox of an event has been sent: its numbers are given out under a lock that is held
-- until the commit, so what stands above is exactly what was not sent, and writers pay nothing for it. A relay leases an
-- event while it sends.
create table outbox_relays (
    event_id bigint primary key references events (id) on delete cascade,
    sent bigint not null,
    relay text,
    leased_until timestamptz
);
-- What happened before there was a stream is told to nobody.
insert into outbox_relays (event_id, sent) select event_id, last from outbox_counters;

-- The run of the broker that a topic was last sent to: another one may have lost what it had.
create table stream_topics (
    topic text primary key,
    run text not null
);

-- How far a group has handled a topic of an event: rises in the transaction of what follows from a fact, so that a fact
-- told twice has one effect.
create table stream_marks (
    grp text not null,
    topic text not null,
    event_id bigint not null,
    seq bigint not null,
    primary key (grp, topic, event_id)
);

-- What a group could not handle, however often it was tried.
create table stream_dead (
    id bigint generated always as identity primary key,
    grp text not null,
    topic text not null,
    -- The id of the fact, or the broker's where the bytes make no sense.
    message_id text not null,
    message text not null,
    error text not null,
    dead_at timestamptz not null default clock_timestamp(),
    constraint stream_dead_once unique (grp, topic, message_id)
);

-- A message to everybody who has bought places at an event, in parts.
create table broadcasts (
    id uuid primary key,
    event_id bigint not null,
    kind text not null,
    -- When what it tells happened.
    told_at timestamptz not null,
    after_item uuid,
    finished_at timestamptz,
    constraint broadcasts_kind_known check (kind in ('event_cancelled', 'event_changed'))
);
create index broadcasts_unfinished on broadcasts (told_at) where finished_at is null;

-- Live figures of an event, by the minute.
create table event_figures (
    event_id bigint not null,
    minute timestamptz not null,
    bookings bigint not null default 0,
    reserved bigint not null default 0,
    released bigint not null default 0,
    orders_paid bigint not null default 0,
    sold bigint not null default 0,
    refunded bigint not null default 0,
    primary key (event_id, minute)
);
create index event_figures_by_minute on event_figures (minute);
-- Minor units.
create table event_revenue (
    event_id bigint not null,
    minute timestamptz not null,
    currency text not null,
    taken_minor bigint not null default 0,
    returned_minor bigint not null default 0,
    primary key (event_id, minute, currency)
);
-- An order counts once at each of its events, however many payments it had.
create table event_figures_orders (
    order_id uuid not null,
    event_id bigint not null,
    primary key (order_id, event_id)
);
