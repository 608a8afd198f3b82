-- Claims of seats that their event does not have. $1 is not used here.
select count(*) from seat_claims c
left join seats s on s.id = c.seat_id
where s.event_id is distinct from c.event_id and $1::bigint is not null
