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
