-- One index instead of two whose keys are anywhere in it: a shopper's bookings, and one open booking a shopper and
-- event. Those that are closed are told apart by their ids.
create unique index bookings_by_user_key on bookings
    (user_id, event_id, (case when status = 'created' then '00000000-0000-0000-0000-000000000000'::uuid else id end));
drop index bookings_open_key;
drop index bookings_by_user;
-- The sweeper reads what is due page by page, whether or not it has closed what it read. Not by the id itself: a plan
-- made while the table is small would look for single bookings here.
create index bookings_due_in_order on bookings (expires_at, uuid_send(id)) where status = 'created';
drop index bookings_due;
