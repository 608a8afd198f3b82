-- A catalogue of `usher.events` events, a fifth of them to come, with the unevenness of real words: the k-th word of a
-- language is drawn k times less often than its first, so that some words stand in 5 to 20 % of all events, and most
-- words in a few. The same on every run.
select setseed(0.5);
create temporary table words as
select lang, k, coalesce(
    (string_to_array(case lang
        when 1 then 'live concert night music show festival tour band jazz rock orchestra city summer winter dance theatre'
        when 2 then 'концерт вечір музика великий фестиваль пісня оркестр ніч театр зірка весна літо зима осінь місто танець'
        else 'праздник большой ночью музыкант песня гастроли зал спектакль звезда любовь город танцы голос свет река' end, ' '))[k],
    -- The long tail: four syllables.
    (select string_agg(substr(first, 1 + digit % 10, 1) || substr(second, 1 + digit / 10, 1), '' order by place)
     from generate_series(0, 3) place,
         lateral (select (k * 7919 + 1000003) / (50 ^ place)::integer % 50 as digit) digits,
         lateral (select case lang when 1 then 'bdfgklmnrs' when 2 then 'бвгдклмнрс' else 'жзпрстфхцш' end as first,
             case lang when 1 then 'aeiou' when 2 then 'аеиоу' else 'аеоуы' end as second) letters)) as word
from generate_series(1, 3) lang, generate_series(1, 20000) k;

-- Texts of some words each; their numbers are primes, so that every name meets every description.
create temporary table texts as
select kind, lang, t, string_agg(word, ' ' order by w) as text
from (
    select kind, lang, t, w, least(20000, floor(exp(random() * ln(20001))))::integer as k
    from (values ('name', 20011, 2), ('description', 5009, 9), ('artist', 5003, 2), ('venue', 3001, 1)) kinds (kind, texts, count),
        generate_series(1, 3) lang, generate_series(0, texts - 1) t, generate_series(1, count) w
) drawn join words using (lang, k) group by kind, lang, t;
create index on texts (kind, lang, t);
analyze texts;

insert into venues (name, city)
select (array['Hall ', 'Зал ', 'Клуб '])[lang] || text || ' ' || t, 'City ' || t % 300
from texts where kind = 'venue';
insert into artists (name, genre)
select text || ' ' || t || lang, (array['rock', 'pop', 'jazz', 'techno', 'folk'])[1 + t % 5]
from texts where kind = 'artist';
analyze venues, artists;

-- Neither triggers nor foreign keys are needed here: listings are made at the end.
set session_replication_role = replica;
with made as (
    insert into events (venue_id, name, description, starts_at, sales_open_at, sales_close_at)
    select v.id, name.text, description.text,
        now() + (n - count * 4 / 5) * interval '30 seconds', now() - interval '1 day', now() + interval '10 years'
    from (select current_setting('usher.events')::integer) counts (count),
        generate_series(1, count) n, lateral (select 1 + n % 3 as lang, n::bigint * 48271 as draw) drawn
    join texts name on name.kind = 'name' and name.lang = drawn.lang and name.t = draw % 20011
    join texts description on description.kind = 'description' and description.lang = drawn.lang
        and description.t = draw % 5009
    join (select id, row_number() over (order by id) - 1 as v from venues) v on v.v = draw % 9003
    order by n
    returning id
)
insert into event_artists
select m.id, a.id, 1 from made m
join (select id, row_number() over (order by id) - 1 as a from artists) a on a.a = m.id * 69621 % 15009;
reset session_replication_role;
analyze events, event_artists;
