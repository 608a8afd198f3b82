-- Lines of the audit log, newest first. $1 from, $2 to, $3 user, $4 address, $5 action or its beginning, $6 part of the
-- object, $7 result, $8 and $9 time and id of the line before, $10 how many
select id, at, host(ip) as ip, user_id, action, object, result
from audit_log
where ($1::timestamptz is null or at >= $1)
    and ($2::timestamptz is null or at < $2)
    and ($3::bigint is null or user_id = $3)
    and ($4::text is null or ip = $4::inet)
    and ($5::text is null or action = $5 or (right($5, 1) = '.' and starts_with(action, $5)))
    and ($6::text is null or position($6 in object) > 0)
    and ($7::text is null or result = $7)
    -- Twice, as only the first is a bound that whole months are left out by.
    and ($8::timestamptz is null or at <= $8)
    and ($8::timestamptz is null or (at, id) < ($8, $9::bigint))
order by at desc, id desc
limit $10
