-- What Redis has not in this epoch is found however much it has already.
create index jobs_to_queue on jobs (queue, queued_in, created_at, id) where finished_at is null;
