-- What peers write their bookings to.
create schema if not exists peer;
create table if not exists peer.bookings (
    id bigint generated always as identity primary key,
    event_id bigint not null,
    user_id bigint not null,
    quantity integer not null,
    created_at timestamptz not null default clock_timestamp()
);
create table if not exists peer.seat_claims (
    event_id bigint not null,
    seat integer not null,
    booking_id bigint not null,
    primary key (event_id, seat)
);
create table if not exists peer.outcomes (
    job_id text primary key,
    booking_id bigint not null,
    status text not null,
    decided_at timestamptz not null default clock_timestamp()
);

-- The same with the keys, indexes and checks that Usher's tables have, but for the counter that keeps facts in order, as
-- transactions at the same time would all wait for it.
create table if not exists peer.open_bookings (
    id uuid primary key,
    event_id bigint not null,
    user_id bigint not null,
    status text not null default 'created',
    expires_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    check (status in ('created', 'pending_payment', 'paid', 'cancelled', 'expired')),
    check ((closed_at is null) = (status in ('created', 'pending_payment'))),
    check (status <> 'created' or expires_at is not null)
);
create unique index if not exists open_bookings_by_user_key on peer.open_bookings
    (user_id, event_id, (case when status = 'created' then '00000000-0000-0000-0000-000000000000'::uuid else id end));
create index if not exists open_bookings_due_in_order on peer.open_bookings (expires_at, uuid_send(id)) where status = 'created';
create table if not exists peer.held_seats (
    seat_id bigint primary key,
    event_id bigint not null,
    booking_id uuid not null,
    user_id bigint not null,
    status text not null,
    expires_at timestamptz,
    check (status in ('reserved', 'sold')),
    check ((status = 'reserved') = (expires_at is not null))
);
create index if not exists held_seats_in_order on peer.held_seats (event_id, seat_id);
create index if not exists held_seats_by_booking on peer.held_seats (booking_id);
create table if not exists peer.job_outcomes (
    job_id text primary key,
    user_id bigint not null,
    status text not null,
    result jsonb,
    decided_at timestamptz not null default clock_timestamp(),
    check (status in ('completed', 'failed'))
);
create table if not exists peer.facts (
    id bigint generated always as identity primary key,
    event_id bigint not null,
    topic text not null,
    fact json not null,
    created_at timestamptz not null default clock_timestamp()
);
