-- Every open booking says when something of it runs out next: its earliest reservation, or the booking itself while it
-- is empty. The sweeper then looks at one index of one table.
update bookings b set expires_at = (
    select min(c.expires_at) from (
        select expires_at from seat_claims where booking_id = b.id
        union all
        select expires_at from area_claims where booking_id = b.id
    ) c
) where status = 'created' and expires_at is null;
drop index bookings_lapse, seat_claims_due, area_claims_due;
create index bookings_due on bookings (expires_at) where status = 'created';
alter table bookings
    add constraint bookings_open_until check (status <> 'created' or expires_at is not null);
