-- From cart to ticket. Amounts are minor units of one currency an order.
alter table users
    add column language text not null default 'en',
    add constraint users_language_known check (language in ('en', 'uk', 'ru'));

alter table events
    add column status text not null default 'scheduled',
    -- One booking a person and event, as at shows where the name stands on the door.
    add column one_booking_each boolean not null default false,
    -- Shoppers may give tickets back until so many hours before the beginning; null: never.
    add column refund_until_hours integer default 24,
    add constraint events_status_known check (status in ('scheduled', 'cancelled')),
    add constraint events_refund_hours_not_negative check (refund_until_hours >= 0);

create table orders (
    id uuid primary key,
    user_id bigint not null,
    status text not null default 'awaiting_payment',
    currency text not null,
    total_minor bigint not null,
    -- The claims of its bookings run out at the same instant.
    pay_until timestamptz not null,
    ip inet,
    created_at timestamptz not null default clock_timestamp(),
    paid_at timestamptz,
    closed_at timestamptz,
    constraint orders_status_known check (status in ('awaiting_payment', 'expiring', 'paid', 'fulfilled',
        'partially_refunded', 'refunded', 'expired', 'cancelled')),
    constraint orders_total_not_negative check (total_minor >= 0),
    constraint orders_paid_with_status
        check ((paid_at is not null) = (status in ('paid', 'fulfilled', 'partially_refunded', 'refunded')))
);
create index orders_by_user on orders (user_id, created_at desc, id desc);
create index orders_due on orders (pay_until) where status in ('awaiting_payment', 'expiring');

-- One place in an order, as it was when it was bought: the seat itself may be removed later.
create table order_items (
    id uuid primary key,
    order_id uuid not null references orders (id),
    booking_id uuid not null,
    event_id bigint not null,
    seat_id bigint,
    area_id bigint,
    slot integer,
    tier_name text not null,
    place text not null,
    price_minor bigint not null,
    status text not null default 'held',
    constraint order_items_status_known check (status in ('held', 'sold', 'released', 'refunding', 'refunded')),
    constraint order_items_one_place
        check ((seat_id is null) = (area_id is not null) and (area_id is null) = (slot is null))
);
create index order_items_by_order on order_items (order_id);
create index order_items_by_booking on order_items (booking_id);
create index order_items_by_event on order_items (event_id, id);
-- A seat is bought once, whatever happened before.
create unique index order_items_seat_sold_key on order_items (seat_id) where status = 'sold';
create unique index order_items_slot_sold_key on order_items (area_id, slot) where status = 'sold';

-- One attempt to pay; its id is the idempotency key towards the provider.
create table payments (
    id uuid primary key,
    order_id uuid not null references orders (id),
    provider text not null,
    -- The provider's name for its session; null until it has answered.
    provider_ref text,
    status text not null default 'creating',
    amount_minor bigint not null,
    currency text not null,
    redirect_url text,
    failure text,
    -- When the provider is asked next, if it does not tell before.
    poll_at timestamptz,
    polls integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    captured_at timestamptz,
    closed_at timestamptz,
    constraint payments_status_known check (status in ('creating', 'open', 'authorized', 'captured', 'declined',
        'expired', 'failed', 'reversed')),
    constraint payments_amount_positive check (amount_minor > 0)
);
create unique index payments_one_open_key on payments (order_id) where status in ('creating', 'open', 'authorized');
create unique index payments_provider_key on payments (provider, provider_ref) where provider_ref is not null;
create index payments_by_order on payments (order_id);
create index payments_to_poll on payments (poll_at) where poll_at is not null;

-- A webhook that was worked off: the row commits with its effect.
create table payment_webhooks (
    provider text not null,
    id text not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (provider, id)
);

-- Money on its way back; its id is the idempotency key towards the provider.
create table refunds (
    id uuid primary key,
    order_id uuid not null references orders (id),
    payment_id uuid not null references payments (id),
    amount_minor bigint not null,
    reason text not null,
    status text not null default 'pending',
    provider_ref text,
    error text,
    requested_by bigint,
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    constraint refunds_status_known check (status in ('pending', 'completed', 'failed')),
    constraint refunds_amount_positive check (amount_minor > 0)
);
create index refunds_by_order on refunds (order_id);
create index refunds_by_status on refunds (status, created_at, id);
create table refund_items (
    order_item_id uuid primary key references order_items (id),
    refund_id uuid not null references refunds (id)
);
create index refund_items_by_refund on refund_items (refund_id);

-- The document for one order item; `expired` is read from the end of its event.
create table tickets (
    id uuid primary key,
    order_item_id uuid not null,
    number text not null,
    event_id bigint not null,
    user_id bigint not null,
    status text not null default 'valid',
    issued_at timestamptz not null default clock_timestamp(),
    used_at timestamptz,
    used_by bigint,
    used_gate text,
    cancelled_at timestamptz,
    constraint tickets_item_key unique (order_item_id),
    constraint tickets_number_key unique (number),
    constraint tickets_item foreign key (order_item_id) references order_items (id),
    constraint tickets_status_known check (status in ('valid', 'used', 'cancelled')),
    constraint tickets_used_with_status check ((used_at is not null) = (status = 'used') or status = 'cancelled')
);
create index tickets_by_user on tickets (user_id, issued_at desc, id desc);
create index tickets_by_event on tickets (event_id, id);
