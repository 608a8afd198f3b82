-- Where an event gives one booking a person, the database says so too: the booking carries the rule of its event.
alter table bookings add column is_only boolean not null default false;
create unique index bookings_only_key on bookings (event_id, user_id)
    where is_only and status in ('created', 'pending_payment', 'paid');
