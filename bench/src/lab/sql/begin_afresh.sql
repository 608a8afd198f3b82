-- Before a measure: no pause, and nothing left to tell of the one before, which would be told anew as Redis is emptied.
delete from queue_controls;
truncate outbox;
insert into outbox_relays (event_id, sent) select event_id, last from outbox_counters
on conflict (event_id) do update set sent = excluded.sent, relay = null, leased_until = null;
checkpoint;
