-- Claims of slots that their area does not have. $1 is not used here.
select count(*) from area_claims c
join areas a on a.id = c.area_id
where (c.slot not between 1 and a.capacity or a.event_id <> c.event_id) and $1::bigint is not null
