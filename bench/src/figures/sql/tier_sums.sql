-- Tiers whose sold, held and free places do not add up to their capacity, or where some are fewer than none: claims
-- are counted on their own and not by way of the seats. The clock goes on while they are, so those that run out
-- right now may be counted either way. $1 is not used here.
with capacity as (
    select tier_id, count(*) as places from seats group by tier_id
), taken as (
    select s.tier_id, count(*) filter (where v.status <> 'available') as shown, count(c.seat_id) as claimed,
        count(*) filter (where v.status = 'available') as free,
        count(*) filter (where c.status = 'reserved' and c.expires_at <= clock_timestamp() + interval '10 s') as lapsed
    from seats s
    join seat_status v on v.seat_id = s.id
    left join seat_claims c on c.seat_id = s.id
    group by s.tier_id
), areas_full as (
    select a.tier_id, a.capacity - count(c.slot) as free from areas a
    left join area_claims c on c.area_id = a.id and (c.status = 'sold' or c.expires_at > clock_timestamp())
    group by a.id
)
select (select count(*) from capacity join taken using (tier_id)
        where shown + free <> places or shown > claimed or shown < claimed - lapsed)
    + (select count(*) from areas_full where free < 0 and $1::bigint is not null)
