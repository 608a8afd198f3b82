-- Words are found period by period, so that no search costs more than the periods that it looks through.

-- A period is 2^40 µs, nearly thirteen days, of sort keys: soonest first, and latest first in the archive.
create function listing_period(sort_key bigint) returns bigint language sql immutable parallel safe as $$
    select sort_key >> 40
$$;

-- The words of an event, each behind its period. So each word of each period has a list of its own in the index, and what
-- begins with the same letters in one period stands together.
create function period_words(sort_key bigint, search tsvector) returns tsvector
language sql immutable parallel safe as $$
    -- A word with its period must not be longer than words may be.
    select array_to_tsvector(array(
        select (sort_key >> 40)::text || ' ' || left(word, 500) from unnest(tsvector_to_array(search)) word))
$$;

-- What a search asks of the index, with a mark where each word's period is to stand. Where words must stand side by side, it
-- is enough here that they are there; what must not be there is no matter of the index.
create function marked_query(query tsquery) returns text language sql immutable parallel safe as $$
    select regexp_replace(
        regexp_replace(querytree(query), '<[-0-9]+>', '&', 'g'), '''((?:[^'']|'''')+)''', E'''\x01\\1''', 'g')
$$;

-- The same for one period.
create function period_query(period bigint, marked text) returns tsquery language sql immutable parallel safe as $$
    select replace(marked, E'\x01', period || ' ')::tsquery
$$;

drop index listed_events_by_words;
create index listed_events_by_words on listed_events using gin (period_words(sort_key, search)) with (fastupdate = off);

-- How much of its lists the index reads for what is asked, in lists that have every event; by what PostgreSQL has counted in
-- `analyze`, the thousand most common words, all others count as one event in a thousand. Of words that must all be there
-- the one that the fewest events have decides, as the others are only looked up for these; but of a beginning all lists are
-- read. The plan is kept, since it would take longer to make than to follow.
create function share_to_read(past boolean, marked text) returns double precision
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
begin
    return (
        with words as materialized (
            select term[1] as word, term[2] is not null as is_open
            from regexp_matches(marked, E'\x01((?:[^'']|'''')+)''(:\\*)?', 'g') term
        ), common as materialized (
            select c.word, c.share
            from pg_stats s, unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) as c (word, share)
            where s.schemaname = current_schema() and s.attname = 'search'
                and s.tablename = case when past then 'events_archive' else 'event_listings' end
                -- A few of a thousand.
                and (c.word = any(array(select word from words))
                    or c.word ^@ any(array(select word from words where is_open)))
        ), counted as (
            select is_open, (
                select coalesce(sum(c.share), 0.001) from common c
                where c.word = w.word or w.is_open and c.word ^@ w.word) as share
            from words w
        )
        select case when marked like '%|%' then sum(share)
            else min(share) + coalesce(sum(share) filter (where is_open), 0) end
        from counted);
end $$;
