-- Tickets, mails and calendars tell the time as the clocks at the venue do. A name that PostgreSQL does not know is
-- refused, so that no reader meets one.
alter table venues
    add column if not exists time_zone text not null default 'UTC';
alter table venues
    add constraint venues_time_zone_known check (timestamptz '2000-01-01 00:00:00Z' at time zone time_zone is not null);
