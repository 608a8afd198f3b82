-- When a provider was last asked about a payment, so that a page that is reloaded does not ask again each time.
alter table payments add column polled_at timestamptz;

-- What goes back is in the currency that was taken, which may be another one than was asked for; and how often the
-- provider was asked to give it back.
alter table refunds add column currency text, add column attempts integer not null default 0;
update refunds r set currency = p.currency from payments p where p.id = r.payment_id;
alter table refunds
    alter column currency set not null,
    add constraint refunds_currency_iso check (currency ~ '^[A-Z]{3}$');
create index refunds_by_payment on refunds (payment_id);

-- What the provider's list and ours do not agree on, found by a daily run.
create table payment_differences (
    id bigint generated always as identity primary key,
    provider text not null,
    provider_ref text not null,
    payment_id uuid,
    kind text not null,
    ours text not null,
    theirs text not null,
    -- Our side was brought to theirs.
    repaired boolean not null,
    found_at timestamptz not null default clock_timestamp(),
    constraint payment_differences_kind_known
        check (kind in ('unknown_here', 'missing_there', 'status', 'amount', 'refunds')),
    constraint payment_differences_key unique (provider, provider_ref, kind)
);
create index payment_differences_by_time on payment_differences (found_at desc, id desc);

create table reconciliations (
    id bigint generated always as identity primary key,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    compared bigint not null default 0,
    differences bigint not null default 0
);

-- Webhooks that were worked off are forgotten once no provider sends them again.
create index payment_webhooks_by_time on payment_webhooks (received_at);

-- Refunds keep within what providers permit; operators change it as any other queue's limit.
insert into queue_controls (queue, event_id, rate_max, rate_ms) values ('refunds', 0, 20, 1000)
on conflict do nothing;

-- The worker's map also learns which of the taken places are sold for good: who stands by for a place is told that nothing
-- can come back once all are.
alter table claim_frees add column is_sold boolean not null default false;

-- A place that is being paid for is kept until its order is closed, whatever the clock says.
create or replace view seat_status as
select s.id as seat_id, s.event_id,
    case
        when c.status = 'sold' then 'sold'
        when c.status = 'reserved' and (c.expires_at > clock_timestamp()
            or exists (select 1 from bookings b where b.id = c.booking_id and b.status = 'pending_payment'))
            then 'reserved'
        else 'available'
    end as status
from seats s
left join seat_claims c on c.seat_id = s.id;
