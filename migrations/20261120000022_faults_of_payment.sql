-- A refund that a provider has refused for good is sent once more under another key there; one that it has not answered
-- keeps its key, so that the money goes back once. How often it was refused:
alter table refunds add column refusals integer not null default 0;
-- Those that wait for a person were refused, or have had no answer for three days: their keys are used up, and what was
-- made under them is found.
update refunds set refusals = 1 where status = 'failed';

-- Places of an area above this one are being taken away, some at a time: nobody gets one any more. The capacity follows
-- when the last of them is gone.
alter table areas
    add column cut_to integer,
    add constraint areas_cut_below_capacity check (cut_to between 1 and capacity - 1);
create index areas_being_cut on areas (id) where cut_to is not null;

-- An event has as many places as can be had.
create or replace function add_areas_to_capacity() returns trigger language plpgsql as $$
begin
    update events e set capacity = e.capacity + changed.places
    from (
        select event_id, sum(coalesce(cut_to, capacity)) as places from added group by event_id
    ) changed
    where e.id = changed.event_id;
    return null;
end $$;
create or replace function take_areas_from_capacity() returns trigger language plpgsql as $$
begin
    update events e set capacity = e.capacity - changed.places
    from (
        select event_id, sum(coalesce(cut_to, capacity)) as places from gone group by event_id
    ) changed
    where e.id = changed.event_id;
    return null;
end $$;
