-- Seats that two jobs were told they won, while both hold. $1 the lowest number that is looked at.
select count(*) from (
    select seat from job_outcomes o
    cross join json_array_elements_text(o.result -> 's') as seat
    where o.number >= $1 and o.status = 'completed'
    group by o.event_id, seat having count(*) > 1
) twice
