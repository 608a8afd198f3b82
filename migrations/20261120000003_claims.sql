-- What moves: who has what, until when.
create table bookings (
    id uuid primary key,
    -- No foreign keys on this table and the two after it but where they carry a rule: each check would cost a look-up
    -- and a key-share lock for every row of a rush, and whoever writes here has the other row in hand.
    event_id bigint not null,
    user_id bigint not null,
    status text not null default 'created',
    -- When an empty booking lapses; null while it has seats, which have times of their own.
    expires_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    constraint bookings_status_known
        check (status in ('created', 'pending_payment', 'paid', 'cancelled', 'expired')),
    constraint bookings_closed_with_status
        check ((closed_at is null) = (status in ('created', 'pending_payment')))
);
create unique index bookings_open_key on bookings (event_id, user_id) where status = 'created';
create index bookings_by_user on bookings (user_id, event_id);
create index bookings_lapse on bookings (expires_at) where status = 'created' and expires_at is not null;

-- Who has a seat. The primary key is the rule that no seat is sold twice.
create table seat_claims (
    seat_id bigint primary key,
    event_id bigint not null,
    booking_id uuid not null,
    user_id bigint not null,
    status text not null,
    expires_at timestamptz,
    constraint seat_claims_status_known check (status in ('reserved', 'sold')),
    constraint seat_claims_expiry_with_status check ((status = 'reserved') = (expires_at is not null))
);
create index seat_claims_by_event on seat_claims (event_id);
create index seat_claims_by_booking on seat_claims (booking_id);
create index seat_claims_due on seat_claims (expires_at) where status = 'reserved';

-- A general-admission area is `capacity` numbered slots. The copied capacity follows the area by cascade,
-- and the check keeps every slot within it.
create table area_claims (
    area_id bigint not null,
    slot integer not null,
    capacity integer not null,
    event_id bigint not null,
    booking_id uuid not null,
    user_id bigint not null,
    status text not null,
    expires_at timestamptz,
    primary key (area_id, slot),
    constraint area_claims_within_capacity check (slot between 1 and capacity),
    constraint area_claims_area foreign key (area_id, capacity)
        references areas (id, capacity) on update cascade,
    constraint area_claims_status_known check (status in ('reserved', 'sold')),
    constraint area_claims_expiry_with_status check ((status = 'reserved') = (expires_at is not null))
);
create index area_claims_by_event on area_claims (event_id);
create index area_claims_by_booking on area_claims (booking_id);
create index area_claims_due on area_claims (expires_at) where status = 'reserved';

-- What came free, for the worker's map of an event: rows newer than its last look tell it what to look at
-- again. `xid` instead of a sequence, because a sequence's order is not the order of commits.
create table claim_frees (
    id bigint generated always as identity primary key,
    event_id bigint not null,
    seat_ids bigint[] not null default '{}',
    area_ids bigint[] not null default '{}',
    slots integer[] not null default '{}',
    xid xid8 not null default pg_current_xact_id(),
    freed_at timestamptz not null default clock_timestamp()
);
create index claim_frees_by_event on claim_frees (event_id, xid);
create index claim_frees_by_time on claim_frees (freed_at);

-- A seat as shoppers see it; `in_queue` is laid over it by the gateway.
create view seat_status as
select s.id as seat_id, s.event_id,
    case
        when c.status = 'sold' then 'sold'
        when c.status = 'reserved' and c.expires_at > clock_timestamp() then 'reserved'
        else 'available'
    end as status
from seats s
left join seat_claims c on c.seat_id = s.id;
