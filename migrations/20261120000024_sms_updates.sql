-- Somebody wants what happens to their bookings and orders told by SMS too, at the phone number of the account.
alter table users add column sms_updates boolean not null default false;
