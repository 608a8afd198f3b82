-- What is sold: the static side. Seats belong to one event, so that a seat's id alone names its event.
create table venues (
    id bigint generated always as identity primary key,
    name text not null,
    city text not null,
    constraint venues_name_key unique (name, city)
);

create table artists (
    id bigint generated always as identity primary key,
    name text not null,
    genre text not null,
    constraint artists_name_key unique (name)
);

create table events (
    id bigint generated always as identity primary key,
    venue_id bigint not null references venues (id),
    name text not null,
    description text not null default '',
    starts_at timestamptz not null,
    sales_open_at timestamptz not null,
    sales_close_at timestamptz not null,
    seat_limit integer not null default 6,
    hold_seconds integer not null default 900,
    layout_version integer not null default 1,
    created_at timestamptz not null default clock_timestamp(),
    constraint events_seat_limit_positive check (seat_limit between 1 and 100),
    constraint events_hold_bounded check (hold_seconds between 1 and 86400),
    constraint events_window_ordered check (sales_open_at < sales_close_at)
);
create index events_by_start on events (starts_at, id);

create table event_artists (
    event_id bigint not null references events (id) on delete cascade,
    artist_id bigint not null references artists (id),
    position integer not null,
    primary key (event_id, artist_id)
);

create table price_tiers (
    id bigint generated always as identity primary key,
    event_id bigint not null references events (id) on delete cascade,
    name text not null,
    price_minor bigint not null,
    currency text not null,
    constraint price_tiers_price_not_negative check (price_minor >= 0),
    constraint price_tiers_currency_iso check (currency ~ '^[A-Z]{3}$'),
    constraint price_tiers_name_key unique (event_id, name)
);

create table sections (
    id bigint generated always as identity primary key,
    event_id bigint not null references events (id) on delete cascade,
    name text not null,
    position integer not null,
    constraint sections_name_key unique (event_id, name)
);

create table seats (
    id bigint generated always as identity primary key,
    event_id bigint not null references events (id) on delete cascade,
    section_id bigint not null references sections (id) on delete cascade,
    tier_id bigint not null references price_tiers (id),
    row_label text not null,
    row_position integer not null,
    seat_label text not null,
    seat_position integer not null,
    x real not null,
    y real not null,
    constraint seats_place_key unique (section_id, row_position, seat_position)
);
create index seats_by_event on seats (event_id, id);

create table areas (
    id bigint generated always as identity primary key,
    event_id bigint not null references events (id) on delete cascade,
    tier_id bigint not null references price_tiers (id),
    name text not null,
    position integer not null,
    capacity integer not null,
    constraint areas_capacity_bounded check (capacity between 1 and 200000),
    constraint areas_name_key unique (event_id, name),
    constraint areas_capacity_key unique (id, capacity)
);
