-- A failed job that is tried once more is a new job; asking twice gives the same one.
alter table jobs add column retry_of uuid, add constraint jobs_retry_of_key unique (retry_of);
create index jobs_by_status on jobs (queue, status, created_at desc, id desc);
