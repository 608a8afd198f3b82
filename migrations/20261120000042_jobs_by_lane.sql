-- One lane of a queue is emptied without looking at what waits in its other lanes.
create index jobs_unfinished_in_lane on jobs (queue, lane, created_at, id) where finished_at is null;
