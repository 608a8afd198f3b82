-- How many places an event has, kept by the database itself: counting 100,000 seats takes 20 ms and more, and every
-- process asks every few seconds.
alter table events add column capacity integer not null default 0;
update events e set capacity =
    (select count(*) from seats s where s.event_id = e.id)
        + (select coalesce(sum(a.capacity), 0) from areas a where a.event_id = e.id);

create function add_seats_to_capacity() returns trigger language plpgsql as $$
begin
    update events e set capacity = e.capacity + changed.places
    from (select event_id, count(*) as places from added group by event_id) changed
    where e.id = changed.event_id;
    return null;
end $$;
create function take_seats_from_capacity() returns trigger language plpgsql as $$
begin
    update events e set capacity = e.capacity - changed.places
    from (select event_id, count(*) as places from gone group by event_id) changed
    where e.id = changed.event_id;
    return null;
end $$;
create function add_areas_to_capacity() returns trigger language plpgsql as $$
begin
    update events e set capacity = e.capacity + changed.places
    from (select event_id, sum(capacity) as places from added group by event_id) changed
    where e.id = changed.event_id;
    return null;
end $$;
create function take_areas_from_capacity() returns trigger language plpgsql as $$
begin
    update events e set capacity = e.capacity - changed.places
    from (select event_id, sum(capacity) as places from gone group by event_id) changed
    where e.id = changed.event_id;
    return null;
end $$;

create trigger seats_added after insert on seats
    referencing new table as added for each statement execute function add_seats_to_capacity();
create trigger seats_gone after delete on seats
    referencing old table as gone for each statement execute function take_seats_from_capacity();
create trigger areas_added after insert on areas
    referencing new table as added for each statement execute function add_areas_to_capacity();
create trigger areas_gone after delete on areas
    referencing old table as gone for each statement execute function take_areas_from_capacity();
create trigger areas_grown after update on areas
    referencing new table as added for each statement execute function add_areas_to_capacity();
create trigger areas_shrunk after update on areas
    referencing old table as gone for each statement execute function take_areas_from_capacity();
