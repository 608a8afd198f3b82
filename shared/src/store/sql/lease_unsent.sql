-- Events with facts that were not sent, leased by a relay. $1 the relay, $2 how many at most, $3 seconds of a lease
with due as (
    select c.event_id from outbox_counters c left join outbox_relays r on r.event_id = c.event_id
    where c.last > coalesce(r.sent, 0)
        and (r.leased_until is null or r.leased_until <= clock_timestamp() or r.relay = $1)
    -- By chance, so that a few busy ones keep nobody waiting.
    order by random() limit $2
), ordered as (
    select event_id from due order by event_id
)
insert into outbox_relays as r (event_id, sent, relay, leased_until)
select event_id, 0, $1, clock_timestamp() + make_interval(secs => $3) from ordered
on conflict (event_id) do update set relay = excluded.relay, leased_until = excluded.leased_until
    where r.leased_until is null or r.leased_until <= clock_timestamp() or r.relay = excluded.relay
returning event_id, sent
