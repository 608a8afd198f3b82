-- Whoever may stand by is decided again and again until something comes free, and so maybe after jobs of higher
-- numbers: the order of a lane's outcomes is the order of those who may not.
alter table job_outcomes add column may_stand_by boolean not null default false;
