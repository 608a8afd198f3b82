-- Tiers whose sold, held and free places do not add up to their capacity. Sold and held are counted by the claims,
-- and free by what everybody is shown: seats by their view, room in an area by slots that nobody has. The clock goes
-- on while they are, so claims that have run out, or do so right now, may be counted twice. $1 is not used here.
with places as (
    select tier_id, sum(places) as places from (
        select tier_id, count(*) as places from seats group by tier_id
        union all
        select tier_id, sum(capacity) from areas group by tier_id
    ) of_both group by tier_id
), claims as (
    select s.tier_id, c.booking_id, c.status, c.expires_at from seat_claims c
    join seats s on s.id = c.seat_id and s.event_id = c.event_id
    union all
    select a.tier_id, c.booking_id, c.status, c.expires_at from area_claims c
    join areas a on a.id = c.area_id and a.event_id = c.event_id
), taken as (
    select c.tier_id, count(*) as places, count(*) filter (
        where c.status = 'reserved' and c.expires_at <= clock_timestamp() + interval '10 s'
            and b.status is distinct from 'pending_payment'
    ) as ending
    from claims c left join bookings b on b.id = c.booking_id group by c.tier_id
), free as (
    select tier_id, sum(places) as places from (
        select s.tier_id, count(*) as places from seats s
        join seat_status v on v.seat_id = s.id where v.status = 'available' group by s.tier_id
        union all
        select a.tier_id, count(*) from areas a cross join generate_series(1, a.capacity) as slots (slot)
        where not exists (
            select 1 from area_claims c left join bookings b on b.id = c.booking_id
            where c.area_id = a.id and c.slot = slots.slot
                and (c.status = 'sold' or c.expires_at > clock_timestamp() or b.status = 'pending_payment'))
        group by a.tier_id
    ) of_both group by tier_id
)
select count(*) from places
full join taken using (tier_id)
full join free using (tier_id)
where coalesce(taken.places, 0) + coalesce(free.places, 0) - coalesce(places.places, 0)
        not between 0 and coalesce(taken.ending, 0)
    and $1::bigint is not null
