-- Adds to the figures of minutes, by column: $1 events, $2 times, then what is counted
insert into event_figures as f
    (event_id, minute, bookings, bookings_paid, reserved, released, orders_paid, sold, refunded)
select event_id, date_trunc('minute', at), sum(bookings), sum(bookings_paid), sum(reserved), sum(released),
    sum(orders_paid), sum(sold), sum(refunded)
from unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[])
    as line (event_id, at, bookings, bookings_paid, reserved, released, orders_paid, sold, refunded)
group by 1, 2 order by 1, 2
on conflict (event_id, minute) do update set
    bookings = f.bookings + excluded.bookings,
    bookings_paid = f.bookings_paid + excluded.bookings_paid,
    reserved = f.reserved + excluded.reserved,
    released = f.released + excluded.released,
    orders_paid = f.orders_paid + excluded.orders_paid,
    sold = f.sold + excluded.sold,
    refunded = f.refunded + excluded.refunded
