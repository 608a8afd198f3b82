-- Of the bookings that were made in a minute, those that were paid since.
alter table event_figures add column bookings_paid bigint not null default 0;
