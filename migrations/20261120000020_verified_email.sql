-- An e-mail address counts as verified once a code that went there has come back.
alter table users add column email_verified_at timestamptz;
update users set email_verified_at = clock_timestamp() where consent_version = 'demo';

alter table codes
    drop constraint codes_purpose_known,
    drop constraint codes_value_with_purpose,
    add constraint codes_purpose_known check (purpose in ('email', 'phone', 'login', 'password', 'verify')),
    add constraint codes_value_with_purpose check ((new_value is null) = (purpose in ('password', 'verify')));

-- What has changed in an account, and where that is told: the e-mail address of before, which an account taken over does
-- not know any more. Kept for some days.
create table account_changes (
    id uuid primary key,
    user_id bigint not null references users (id) on delete cascade,
    field text not null,
    -- The e-mail address when it changed.
    told text not null,
    -- A part of the new value, by which its owner knows it again; none of a password.
    hint text,
    changed_at timestamptz not null default clock_timestamp(),
    constraint account_changes_field_known check (field in ('email', 'phone', 'login', 'password')),
    constraint account_changes_hint_with_field check ((hint is null) = (field = 'password'))
);
create index account_changes_by_user on account_changes (user_id, changed_at);
create index account_changes_by_time on account_changes (changed_at);
