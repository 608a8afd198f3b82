-- The places in a cart, in the order of the house, and until when each is held on the venue's clock.
select c.name as "section!", s.row_label, s.seat_label, t.name as "tier!", t.price_minor as "price_minor!",
    t.currency as "currency!", k.expires_at at time zone $2 as until
from seat_claims k
join seats s on s.id = k.seat_id
join sections c on c.id = s.section_id
join price_tiers t on t.id = s.tier_id
where k.booking_id = $1 and (k.status = 'sold' or k.expires_at > clock_timestamp())
union all
select a.name, null, null, t.name, t.price_minor, t.currency, k.expires_at at time zone $2
from area_claims k
join areas a on a.id = k.area_id
join price_tiers t on t.id = a.tier_id
where k.booking_id = $1 and (k.status = 'sold' or k.expires_at > clock_timestamp())
order by 1, 2, 3
limit $3
