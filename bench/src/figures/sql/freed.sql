-- Notes about what came free: how many, of how many seats, how many ms after their time the first was written, and
-- how many lie between it and the last. $1 event; $2 when the reservations ran out, ms since 1970
select count(*), coalesce(sum(cardinality(seat_ids)), 0)::bigint,
    coalesce(extract(epoch from min(freed_at)) * 1000 - $2, 0)::float8,
    coalesce(extract(epoch from max(freed_at) - min(freed_at)) * 1000, 0)::float8
from claim_frees where event_id = $1 and not is_sold
