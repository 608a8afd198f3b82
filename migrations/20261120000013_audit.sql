-- The audit log by months: written once, never changed, and forgotten a month at a time.
alter table audit_log rename to audit_log_before;
alter index audit_log_by_time rename to audit_log_before_by_time;
create sequence audit_log_ids;
create table audit_log (
    id bigint not null default nextval('audit_log_ids'),
    at timestamptz not null default clock_timestamp(),
    ip inet,
    user_id bigint,
    action text not null,
    object text not null,
    result text not null,
    primary key (at, id)
) partition by range (at);
alter sequence audit_log_ids owned by audit_log.id;
create index audit_log_by_user on audit_log (user_id, at, id);
create index audit_log_by_action on audit_log (action, at, id);

-- Append-only for everybody, the owner of the table too; whole months go by drop_audit_months.
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_audit_change();
create trigger audit_log_no_truncate before truncate on audit_log
    for each statement execute function refuse_audit_change();

-- Makes the month of a time, unless it is there. With the rights of the owner, as the application may not make tables.
create function make_audit_month(of_time timestamptz) returns boolean
language plpgsql security definer set search_path from current as $$
declare
    first timestamptz := date_trunc('month', of_time, 'UTC');
    next timestamptz := date_trunc('month', first + interval '40 days', 'UTC');
    name text := 'audit_log_' || to_char(first at time zone 'UTC', 'YYYYMM');
begin
    if to_regclass(name) is not null then return false; end if;
    execute format('create table %I partition of audit_log for values from (%L) to (%L)', name, first, next);
    -- A trigger for statements is not handed down to the parts.
    execute format('create trigger %I before truncate on %I for each statement execute function refuse_audit_change()',
        name || '_no_truncate', name);
    return true;
end $$;

-- Makes the months from now to so many ahead; how many were missing.
create function make_audit_months(ahead integer) returns bigint
language sql security definer set search_path from current as $$
    select count(*) filter (where make_audit_month(clock_timestamp() + make_interval(months => n)))
    from generate_series(0, ahead) as month (n)
$$;

-- Drops the months that ended more than so many days ago, a year at least; how many.
create function drop_audit_months(keep_days integer) returns bigint
language plpgsql security definer set search_path from current as $$
declare
    before text := 'audit_log_' || to_char(
        clock_timestamp() at time zone 'UTC' - make_interval(days => greatest(keep_days, 365)), 'YYYYMM');
    month record;
    dropped bigint := 0;
begin
    for month in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'audit_log'::regclass and c.relname < before
    loop
        execute format('drop table %I', month.relname);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

select make_audit_month(at) from (select distinct date_trunc('month', at, 'UTC') as at from audit_log_before) months;
select make_audit_months(6);
insert into audit_log (id, at, ip, user_id, action, object, result)
    select id, at, ip, user_id, action, object, result from audit_log_before order by id;
select setval('audit_log_ids', coalesce((select max(id) from audit_log_before), 0) + 1, false);
drop table audit_log_before;

-- Who changes what they log may not be who logs: the application's role in production. All it needs and nothing else.
create function grant_application_rights(role_name text) returns void
language plpgsql set search_path from current as $$
begin
    execute format('grant usage on schema %I to %I', current_schema(), role_name);
    execute format('grant select, insert, update, delete on all tables in schema %I to %I', current_schema(), role_name);
    execute format('grant usage, select on all sequences in schema %I to %I', current_schema(), role_name);
    execute format('grant execute on all functions in schema %I to %I', current_schema(), role_name);
    execute format('revoke update, delete, truncate on %s from %I', (
        select string_agg(oid::regclass::text, ', ') from pg_class
        where oid = 'audit_log'::regclass
            or oid in (select inhrelid from pg_inherits where inhparent = 'audit_log'::regclass)), role_name);
    execute format('revoke execute on function grant_application_rights(text) from %I', role_name);
end $$;
revoke execute on function make_audit_month(timestamptz), make_audit_months(integer), drop_audit_months(integer),
    grant_application_rights(text) from public;

-- Refusals go from the outcomes into the audit log in bulk, later, so that a batch is not held up: each has the
-- transaction that wrote it, whose number, unlike a time, tells when no earlier one can follow.
alter table job_outcomes add column ip inet, add column refused_in xid8;
create index job_outcomes_refused on job_outcomes (refused_in, event_id, number) where refused_in is not null;
create table audit_cursors (
    name text primary key,
    refused_in xid8 not null,
    event_id bigint not null,
    number bigint not null
);
insert into audit_cursors (name, refused_in, event_id, number) values ('refusals', '0', 0, 0);

-- What went wrong, by process and code, for the administration panel.
create table errors_seen (
    process text not null,
    code text not null,
    count bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    -- Of the last one, to find it in the logs.
    request_id text,
    primary key (process, code)
);
create index errors_seen_by_time on errors_seen (last_seen);

-- What people did, by minute.
create table activity_minutes (
    minute timestamptz not null,
    kind text not null,
    count bigint not null,
    primary key (minute, kind),
    constraint activity_minutes_kind_known check (kind in ('registration', 'login', 'booking', 'refusal'))
);
create index orders_by_created on orders (created_at);
