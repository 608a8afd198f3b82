-- Which of two readings of a queue's pauses and limits is the later one, for whoever copies them.
create sequence queue_controls_version;
alter table queue_controls add column version bigint not null default nextval('queue_controls_version');
