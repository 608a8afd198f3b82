-- What a batch is decided on, at one moment. $1 event; $2 numbers of its jobs, between $5 and $6; $3 their shoppers; $4
-- from which transaction on to look for what came free
select coalesce(l.version, 0) as "version!", e.layout_version, e.seat_limit, e.hold_seconds, e.one_booking_each,
    coalesce((select max(t.price_minor) from price_tiers t where t.event_id = e.id), 1) = 0 as "is_free!",
    clock_timestamp() as "now!",
    clock_timestamp() not between e.sales_open_at and e.sales_close_at or e.status = 'cancelled' as "is_closed!",
    pg_snapshot_xmin(pg_current_snapshot())::text as "xmin!",
    -- A second delivery reads back the first outcome. Each is looked up by its key (`limit 1` says so): a planner that
    -- knows nothing yet of a table that grows fast would read all outcomes of the event. At the first delivery there is
    -- none between the lowest and the highest number, which costs one look instead of one each.
    (
        select jsonb_agg(jsonb_build_array(o.number, o.nonce, o.user_id, o.status, o.code, o.result))
        from unnest($2::bigint[]) as job (number), lateral (
            select * from job_outcomes where event_id = $1 and number = job.number limit 1
        ) o
        where (
            select number from job_outcomes where event_id = $1 and number >= $5 order by event_id, number limit 1
        ) <= $6
    ) as "outcomes: Json<Vec<OutcomeRow>>",
    -- What the shoppers have, in whatever booking.
    (
        select jsonb_agg(jsonb_build_array(b.user_id, b.id, b.status = 'created',
            (
                select count(*) from seat_claims c
                where c.booking_id = b.id and (b.status = 'pending_payment' or c.status = 'sold' or c.expires_at > clock_timestamp())
            ) + (
                select count(*) from area_claims c
                where c.booking_id = b.id and (b.status = 'pending_payment' or c.status = 'sold' or c.expires_at > clock_timestamp())
            )))
        from bookings b
        where b.user_id = any($3) and b.event_id = $1 and b.status in ('created', 'pending_payment', 'paid')
    ) as "usage: Json<Vec<UsageRow>>",
    -- What came free: places that may have been claimed again; and what was sold.
    (
        select jsonb_agg(jsonb_build_array(f.id, f.seat_ids, f.area_ids, f.slots, f.is_sold))
        from claim_frees f where f.event_id = $1 and f.xid >= ($4::text)::xid8
    ) as "freed: Json<Vec<FreedRow>>"
from events e
left join lanes l on l.event_id = e.id
where e.id = $1
