-- What admins tell of artists, venues and events, templates of layouts, and the read model that lists and search use.
alter table venues add column address text not null default '';
alter table artists
    add column occupation text,
    add column biography text,
    add column works text[] not null default '{}';
alter table events
    add column ends_at timestamptz,
    add constraint events_end_after_start check (ends_at > starts_at);
create index events_by_venue on events (venue_id, starts_at);
create index artists_by_name on artists (lower(name));
create index event_artists_by_artist on event_artists (artist_id, event_id);
-- A tier that goes is looked up here; without it every seat of every event would be read.
create index seats_by_tier on seats (tier_id);

-- A venue's template: an event that is made from one gets seats of its own, so changing or deleting it later moves
-- nothing that is on sale.
create table venue_layouts (
    id bigint generated always as identity primary key,
    venue_id bigint not null,
    name text not null,
    -- {sections: [{name, rows: [{label, seats: [{label, tier, x, y}]}]}], areas: [{name, capacity, tier}]}
    document jsonb not null,
    seats integer not null,
    places integer not null,
    tiers text[] not null,
    updated_at timestamptz not null default clock_timestamp(),
    constraint venue_layouts_venue foreign key (venue_id) references venues (id),
    constraint venue_layouts_name_key unique (venue_id, name)
);

-- One row for each transaction that changed what is listed. Which rows are there names the state of the catalogue; a
-- counter would be one row that all who change something wait for, and a sequence rises before the change can be seen.
create table catalogue_changes (
    xid xid8 primary key default pg_current_xact_id(),
    changed_at timestamptz not null default clock_timestamp()
);
create index catalogue_changes_by_time on catalogue_changes (changed_at);

-- Events as they are listed and found: what is still to come, and the archive of what has begun, of one shape and apart,
-- so that the one stays small however large the other grows.
create table listed_events (
    event_id bigint not null,
    is_past boolean not null,
    -- The beginning in µs since 1970, negative in the archive: both are read forwards, soonest and latest first.
    sort_key bigint not null,
    name text not null,
    description text not null,
    venue_id bigint not null,
    venue text not null,
    city text not null,
    address text not null,
    -- [{id, name, genre}] in order.
    artists jsonb not null,
    -- In lower case, as they are asked for.
    city_key text not null,
    genres text[] not null,
    starts_at timestamptz not null,
    ends_at timestamptz,
    sales_open_at timestamptz not null,
    sales_close_at timestamptz not null,
    seat_limit integer not null,
    hold_seconds integer not null,
    layout_version integer not null,
    price_minor bigint,
    currency text,
    search tsvector not null,
    primary key (event_id, is_past),
    constraint listed_events_event foreign key (event_id) references events (id) on delete cascade
) partition by list (is_past);
create table event_listings partition of listed_events for values in (false);
create table events_archive partition of listed_events for values in (true);
-- `is_past` is the same throughout a partition, but must be there for an answer from the index alone.
create index listed_events_by_time on listed_events (is_past, sort_key, event_id);
create index listed_events_by_city on listed_events (is_past, city_key, sort_key, event_id);
create index listed_events_by_words on listed_events using gin (search) with (fastupdate = off);

create table listed_genres (
    event_id bigint not null,
    is_past boolean not null,
    genre text not null,
    city_key text not null,
    sort_key bigint not null,
    primary key (is_past, genre, sort_key, event_id),
    constraint listed_genres_event foreign key (event_id) references events (id) on delete cascade
);
create index listed_genres_by_city on listed_genres (is_past, genre, city_key, sort_key, event_id);
create index listed_genres_by_event on listed_genres (event_id);

-- Events whose listing is to be made anew; the sweeper works it off.
create table listings_due (
    event_id bigint primary key,
    constraint listings_due_event foreign key (event_id) references events (id) on delete cascade
);

-- From where a list begins: what is to come begins now at the earliest.
create function first_sort_key(past boolean, low bigint) returns bigint language sql stable as $$
    select case when past then low
        else greatest(low, (extract(epoch from statement_timestamp()) * 1000000)::bigint + 1) end
$$;

create function note_catalogue_change() returns void language sql as $$
    insert into catalogue_changes default values on conflict do nothing
$$;

-- What is found by: names before places, places before descriptions. `russian` stems English words as well, and
-- `simple` keeps every word as it is, for Ukrainian, which has no stemmer here, and for beginnings of words.
create function listing_words(name text, artists text, places text, description text) returns tsvector
language sql immutable as $$
    select setweight(to_tsvector('russian', name || ' ' || artists), 'A')
        || setweight(to_tsvector('simple', name || ' ' || artists), 'A')
        || setweight(to_tsvector('russian', places), 'B') || setweight(to_tsvector('simple', places), 'B')
        || setweight(to_tsvector('russian', left(description, 4000)), 'D')
        || setweight(to_tsvector('simple', left(description, 4000)), 'D')
$$;

-- Makes the listings of these events anew, each where it belongs at this moment.
create function list_events(ids bigint[]) returns void language plpgsql as $$
begin
    -- Whoever changes the same event elsewhere comes before this or after it, and is then read here or reads this.
    perform 1 from events where id = any(ids) order by id for no key update;
    delete from listed_genres where event_id = any(ids);
    delete from listed_events where event_id = any(ids);
    insert into listed_events
    select e.id, p.is_past, p.sort_key, e.name, e.description, v.id, v.name, v.city, v.address,
        coalesce(a.artists, '[]'), lower(v.city), coalesce(a.genres, '{}'), e.starts_at, e.ends_at,
        e.sales_open_at, e.sales_close_at, e.seat_limit, e.hold_seconds, e.layout_version, t.price_minor, t.currency,
        listing_words(e.name, coalesce(a.names, ''),
            v.name || ' ' || v.city || ' ' || coalesce(array_to_string(a.genres, ' '), ''), e.description)
    from events e
    join venues v on v.id = e.venue_id
    cross join lateral (
        select past.is_past, (extract(epoch from e.starts_at) * 1000000)::bigint
            * case when past.is_past then -1 else 1 end as sort_key
        from (select e.starts_at <= clock_timestamp() as is_past) past
    ) p
    left join lateral (
        select jsonb_agg(jsonb_build_object('id', a.id, 'name', a.name, 'genre', a.genre) order by ea.position) as artists,
            string_agg(a.name, ' ' order by ea.position) as names,
            array_agg(distinct lower(a.genre)) filter (where a.genre <> '') as genres
        from event_artists ea join artists a on a.id = ea.artist_id where ea.event_id = e.id
    ) a on true
    left join lateral (
        select t.price_minor, t.currency from price_tiers t where t.event_id = e.id
        order by t.price_minor, t.id limit 1
    ) t on true
    -- What does not take place is not listed; it can still be asked for by its id.
    where e.id = any(ids) and e.status = 'scheduled';
    insert into listed_genres (event_id, is_past, genre, city_key, sort_key)
    select event_id, is_past, genre, city_key, sort_key
    from listed_events, unnest(genres) as genre where event_id = any(ids);
end $$;

-- The soonest thousand at once, the others by and by: a venue's name may stand in any number of listings.
create function relist(ids bigint[]) returns void language plpgsql as $$
declare
    first_ids bigint[];
begin
    if cardinality(ids) = 0 or ids is null then
        return;
    end if;
    perform note_catalogue_change();
    if cardinality(ids) <= 1000 then
        perform list_events(ids);
        return;
    end if;
    first_ids := array(
        select id from events where id = any(ids) order by starts_at <= clock_timestamp(), starts_at, id limit 1000);
    perform list_events(first_ids);
    insert into listings_due (event_id) select unnest(ids) except select unnest(first_ids) on conflict do nothing;
end $$;

create function relist_added_events() returns trigger language plpgsql as $$
begin
    perform relist(array(select id from added));
    return null;
end $$;
create function relist_event() returns trigger language plpgsql as $$
begin
    perform relist(array[new.id]);
    return null;
end $$;
create function note_gone_event() returns trigger language plpgsql as $$
begin
    perform note_catalogue_change();
    return null;
end $$;
create function relist_added() returns trigger language plpgsql as $$
begin
    perform relist(array(select distinct event_id from added));
    return null;
end $$;
create function relist_gone() returns trigger language plpgsql as $$
begin
    perform relist(array(select distinct gone.event_id from gone join events e on e.id = gone.event_id));
    return null;
end $$;
create function relist_artists() returns trigger language plpgsql as $$
begin
    perform relist(array(
        select distinct ea.event_id from added join gone using (id) join event_artists ea on ea.artist_id = added.id
        where (added.name, added.genre) is distinct from (gone.name, gone.genre)));
    return null;
end $$;
create function relist_venues() returns trigger language plpgsql as $$
begin
    perform relist(array(
        select e.id from added join gone using (id) join events e on e.venue_id = added.id
        where (added.name, added.city, added.address) is distinct from (gone.name, gone.city, gone.address)));
    return null;
end $$;

create trigger events_listed after insert on events
    referencing new table as added for each statement execute function relist_added_events();
-- Not `capacity`, which moves with every place that is added; it is read from the event itself.
create trigger events_relisted after update of venue_id, name, description, starts_at, ends_at, sales_open_at,
        sales_close_at, seat_limit, hold_seconds, layout_version, status on events
    for each row execute function relist_event();
create trigger events_unlisted after delete on events for each statement execute function note_gone_event();
create trigger event_artists_listed after insert on event_artists
    referencing new table as added for each statement execute function relist_added();
create trigger event_artists_relisted after update on event_artists
    referencing new table as added for each statement execute function relist_added();
create trigger event_artists_unlisted after delete on event_artists
    referencing old table as gone for each statement execute function relist_gone();
create trigger price_tiers_listed after insert on price_tiers
    referencing new table as added for each statement execute function relist_added();
create trigger price_tiers_relisted after update on price_tiers
    referencing new table as added for each statement execute function relist_added();
create trigger price_tiers_unlisted after delete on price_tiers
    referencing old table as gone for each statement execute function relist_gone();
create trigger artists_relisted after update on artists
    referencing old table as gone new table as added for each statement execute function relist_artists();
create trigger venues_relisted after update on venues
    referencing old table as gone new table as added for each statement execute function relist_venues();

select list_events(array(select id from events));
