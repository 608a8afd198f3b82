-- What is in bookings, as it is bought: places in words, and what each costs. $1 bookings
select c.booking_id as "booking_id!", c.event_id as "event_id!", c.seat_id, null::bigint as area_id,
    null::integer as slot, t.name as "tier_name!", t.price_minor as "price_minor!", t.currency as "currency!",
    sec.name || ', row ' || s.row_label || ', seat ' || s.seat_label as "place!",
    c.expires_at > clock_timestamp() as "is_held!"
from seat_claims c
join seats s on s.id = c.seat_id
join sections sec on sec.id = s.section_id
join price_tiers t on t.id = s.tier_id
where c.booking_id = any($1) and c.status = 'reserved'
union all
select c.booking_id, c.event_id, null, c.area_id, c.slot, t.name, t.price_minor, t.currency,
    a.name || ', place ' || c.slot,
    -- What is being taken away is not bought any more.
    c.expires_at > clock_timestamp() and c.slot <= coalesce(a.cut_to, a.capacity)
from area_claims c
join areas a on a.id = c.area_id
join price_tiers t on t.id = a.tier_id
where c.booking_id = any($1) and c.status = 'reserved'
