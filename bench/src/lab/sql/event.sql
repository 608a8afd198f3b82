-- An event on sale. $1 its name; $2 how many seats: sections of 50 rows of 50 each, the last one as far as it goes.
with venue as (
    insert into venues (name, city) values ('Proving Ground', 'Nowhere')
    on conflict on constraint venues_name_key do update set city = excluded.city
    returning id
), event as (
    -- Holds outlast the run, so that what was won can still be looked at in the end.
    insert into events (venue_id, name, starts_at, sales_open_at, sales_close_at, hold_seconds)
    select id, $1, now() + interval '30 days', now() - interval '1 hour', now() + interval '29 days', 86400 from venue
    returning id
), lane as (
    insert into lanes (event_id) select id from event
), tier as (
    insert into price_tiers (event_id, name, price_minor, currency) select id, 'Standard', 4900, 'EUR' from event
    returning id
), blocks as (
    insert into sections (event_id, name, position)
    select event.id, format('Block %s', n), n from event, generate_series(1, ($2 + 2499) / 2500) as n
    returning id, position
), seated as (
    insert into seats (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
    select event.id, b.id, tier.id, r::text, r as row_position, n::text, n as seat_position,
        (b.position * 600 + n * 10)::real, (r * 12)::real
    from event, tier, blocks b, generate_series(1, 50) as r, generate_series(1, 50) as n
    where (b.position - 1) * 2500 + (r - 1) * 50 + n <= $2
    -- Ids rise with the place in the hall, as an importer would make them.
    order by b.position, row_position, seat_position
)
select id from event
