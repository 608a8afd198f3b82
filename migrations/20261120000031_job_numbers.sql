-- The number in its lane under which the last attempt of a job was begun: so it is found where it rests.
alter table jobs add column number bigint;
