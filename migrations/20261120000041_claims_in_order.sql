-- An event's claims are read page by page in the order of their places: by the event alone each page would sort all of them.
create index seat_claims_in_order on seat_claims (event_id, seat_id);
create index area_claims_in_order on area_claims (event_id, area_id, slot);
drop index seat_claims_by_event;
drop index area_claims_by_event;
