-- A row holds all facts of one topic that one transaction tells of an event, as an array; the first one has number
-- `seq`, those after it the next ones. A batch of 300 would else write 600 rows, and a sweep as many as there are seats.
alter table outbox rename column payload to facts;
alter table outbox alter column facts type json using json_build_array(facts);
