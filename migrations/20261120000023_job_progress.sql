-- How far an attempt has come, as its handler said last; nothing outside of an attempt.
alter table jobs
    add column progress smallint,
    add column progress_at timestamptz,
    add constraint jobs_progress_bounded check (progress between 0 and 100),
    add constraint jobs_progress_with_time check ((progress is null) = (progress_at is null)),
    add constraint jobs_progress_unfinished check (progress is null or finished_at is null);
