-- Demo data. Artists, venues and dates are made up; dates lie ahead of whenever this is loaded.
insert into users (email, login, first_name, last_name, role, consent_at, consent_version, email_verified_at) values
    ('shopper@usher.test', 'shopper', 'Sasha', 'Shopper', 'shopper', now(), 'demo', now()),
    ('operator@usher.test', 'operator', 'Olha', 'Operator', 'operator', now(), 'demo', now()),
    ('scanner@usher.test', 'scanner', 'Semen', 'Scanner', 'scanner', now(), 'demo', now()),
    ('admin@usher.test', 'admin', 'Ada', 'Admin', 'admin', now(), 'demo', now());

-- The crowd of `make crowd` and of the load tests; without passwords, so nobody can log in as one of them.
insert into users (email, first_name, last_name, consent_at, consent_version, email_verified_at)
select format('crowd-%s@usher.test', n), 'Crowd', n::text, now(), 'demo', now() from generate_series(1, 10000) as n;

insert into venues (name, city, address, time_zone) values
    ('Northgate Stadium', 'Kyiv', '1 Northgate Avenue', 'Europe/Kyiv'),
    ('Lantern Theatre', 'Lviv', '12 Lantern Lane', 'Europe/Kyiv'),
    ('Club Understage', 'Odesa', '7 Harbour Steps', 'Europe/Kyiv');

insert into artists (name, genre, occupation, biography, works) values
    ('Aurora Parade', 'pop', 'band',
     'Five friends, two drummers and one rule: every song ends with everybody singing.',
     array['Northern Lights', 'Confetti Weather', 'Loud Hearts']),
    ('The Paper Lighthouses', 'indie rock', 'band',
     'They wrote their first record in a harbour office and still tune to the foghorn.',
     array['Folded Coast', 'Letters to the Keeper']),
    ('Marta Vesna', 'singer-songwriter', 'singer', 'Sings of small towns and late trains, mostly by lamplight.',
     array['Spring, Slowly', 'Кімната з вікном']),
    ('Night Tram Ensemble', 'contemporary classical', 'string ensemble',
     'Eleven strings that rehearse after the last tram has gone.', array['Depot Suite']),
    ('DJ Kilometre', 'techno', 'DJ', 'Plays one set a month, and it takes all night.', array['0 to 1000']);

-- The club holds carts for 45 seconds only, so that expiry can be watched.
insert into events
    (venue_id, name, description, starts_at, sales_open_at, sales_close_at, seat_limit, hold_seconds)
select v.id, e.name, e.description, e.starts_at, now() - interval '1 hour', e.starts_at - interval '1 hour',
    e.seat_limit, e.hold_seconds
from (values
    ('Northgate Stadium', 'Aurora Parade: Northern Lights Tour',
     'One night, one hundred thousand seats, and the loudest chorus of the year.',
     date_trunc('day', now()) + interval '75 days 19 hours', 6, 900),
    ('Lantern Theatre', 'Marta Vesna & Night Tram Ensemble',
     'Songs by lamplight, with strings.', date_trunc('day', now()) + interval '68 days 19 hours 30 minutes', 4, 900),
    ('Club Understage', 'DJ Kilometre: All Night Long',
     'Standing room only, until the first tram.', date_trunc('day', now()) + interval '90 days 22 hours', 4, 45)
) as e (venue, name, description, starts_at, seat_limit, hold_seconds)
join venues v on v.name = e.venue
order by e.venue desc;

insert into lanes (event_id) select id from events;

insert into event_artists (event_id, artist_id, position)
select e.id, a.id, p.position from (values
    ('Northgate Stadium', 'Aurora Parade', 1), ('Northgate Stadium', 'The Paper Lighthouses', 2),
    ('Lantern Theatre', 'Marta Vesna', 1), ('Lantern Theatre', 'Night Tram Ensemble', 2),
    ('Club Understage', 'DJ Kilometre', 1)
) as p (venue, artist, position)
join venues v on v.name = p.venue join events e on e.venue_id = v.id join artists a on a.name = p.artist;

insert into price_tiers (event_id, name, price_minor, currency)
select e.id, t.name, t.price, 'EUR' from (values
    ('Northgate Stadium', 'Front', 14900), ('Northgate Stadium', 'Lower tier', 9900),
    ('Northgate Stadium', 'Upper tier', 5900),
    ('Lantern Theatre', 'Stalls', 6500), ('Lantern Theatre', 'Balcony', 3900),
    ('Club Understage', 'Standing', 2500), ('Club Understage', 'Gallery', 3500)
) as t (venue, name, price)
join venues v on v.name = t.venue join events e on e.venue_id = v.id;

-- The stadium: 40 sections around the pitch, 50 rows of 50 seats each = 100,000; the theatre: two sections,
-- 12 rows of 25 and 10 rows of 20 = 500.
insert into sections (event_id, name, position)
select e.id, format('Block %s', n), n from events e join venues v on v.id = e.venue_id, generate_series(1, 40) as n
where v.name = 'Northgate Stadium'
union all
select e.id, s.name, s.position from events e join venues v on v.id = e.venue_id,
    (values ('Stalls', 1), ('Balcony', 2)) as s (name, position)
where v.name = 'Lantern Theatre';

insert into seats (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
select s.event_id, s.id, t.id, r::text, r, n::text, n,
    -- Each block is a wedge of the bowl: rows go outwards, seats along the arc.
    (1000 + (760 + r * 4) * cos(2 * pi() * ((s.position - 1) + (n - 0.5) / 50 * 0.92) / 40))::real,
    (800 + (520 + r * 4) * sin(2 * pi() * ((s.position - 1) + (n - 0.5) / 50 * 0.92) / 40))::real
from sections s
join events e on e.id = s.event_id
join venues v on v.id = e.venue_id and v.name = 'Northgate Stadium'
cross join generate_series(1, 50) as rows (r)
cross join generate_series(1, 50) as numbers (n)
join price_tiers t on t.event_id = s.event_id
    and t.name = case when r <= 10 then 'Front' when r <= 30 then 'Lower tier' else 'Upper tier' end
order by s.position, rows.r, numbers.n;

insert into seats (event_id, section_id, tier_id, row_label, row_position, seat_label, seat_position, x, y)
select s.event_id, s.id, t.id, chr(64 + r), r, n::text, n,
    (n * 20 + case when s.name = 'Balcony' then 50 else 0 end)::real,
    (r * 24 + case when s.name = 'Balcony' then 340 else 0 end)::real
from sections s
join events e on e.id = s.event_id
join venues v on v.id = e.venue_id and v.name = 'Lantern Theatre'
join price_tiers t on t.event_id = s.event_id and t.name = s.name
cross join lateral generate_series(1, case when s.name = 'Stalls' then 12 else 10 end) as rows (r)
cross join lateral generate_series(1, case when s.name = 'Stalls' then 25 else 20 end) as numbers (n)
order by s.position, rows.r, numbers.n;

insert into areas (event_id, tier_id, name, position, capacity)
select e.id, t.id, t.name, a.position, a.capacity from (values ('Standing', 1, 800), ('Gallery', 2, 150))
    as a (name, position, capacity)
join price_tiers t on t.name = a.name join events e on e.id = t.event_id
join venues v on v.id = e.venue_id and v.name = 'Club Understage';
