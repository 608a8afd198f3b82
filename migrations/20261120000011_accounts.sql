-- Accounts: sessions that can be ended, codes, second factors, keys of services, erasure.
alter table users
    -- Tokens and remembered credentials of an older version are refused.
    add column session_version integer not null default 0,
    -- A service acts through its API keys and never logs in.
    add column is_service boolean not null default false,
    add column erased_at timestamptz,
    add constraint users_erased_without_person
        check (erased_at is null or (login is null and phone is null and password_hash is null));
create index users_email_prefix on users (email text_pattern_ops);
create index users_by_role on users (role, id) where role <> 'shopper';

-- The tokens that follow from one log-in are a family. One that was used stays until it would have expired, so that
-- its second use is noticed.
alter table refresh_tokens
    add column family uuid not null default gen_random_uuid(),
    add column has_second_factor boolean not null default false,
    add column used_at timestamptz;
create index refresh_tokens_family on refresh_tokens (family);

-- Sessions that were ended before their access tokens expire. Gateways keep the latest of these in memory.
create table ended_sessions (
    id bigint generated always as identity primary key,
    -- All sessions of somebody below this version,
    user_id bigint,
    session_version integer,
    -- or one family of tokens, or one API key.
    session_id uuid,
    ended_at timestamptz not null default clock_timestamp(),
    constraint ended_sessions_one_kind
        check ((user_id is null) = (session_version is null) and (user_id is null) = (session_id is not null))
);
create index ended_sessions_by_time on ended_sessions (ended_at);

-- Six digits that were sent to somebody. They stand nowhere: what is stored is a keyed hash of them.
create table codes (
    id uuid primary key,
    user_id bigint not null references users (id) on delete cascade,
    purpose text not null,
    channel text not null,
    -- Where it was sent.
    target text not null,
    -- What becomes of the field when it is confirmed.
    new_value text,
    digits_hash bytea not null,
    tries integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null default clock_timestamp() + interval '10 minutes',
    closed_at timestamptz,
    constraint codes_purpose_known check (purpose in ('email', 'phone', 'login', 'password')),
    constraint codes_channel_known check (channel in ('email', 'sms')),
    constraint codes_value_with_purpose check ((new_value is null) = (purpose = 'password')),
    constraint codes_tries_bounded check (tries between 0 and 5)
);
create index codes_by_user on codes (user_id, created_at);
create index codes_by_target on codes (target, created_at);
create index codes_by_time on codes (created_at);

-- Time-based one-time passwords (RFC 6238). The secret is sealed with a key that is not in the database.
create table second_factors (
    user_id bigint primary key references users (id) on delete cascade,
    secret bytea not null,
    confirmed_at timestamptz,
    -- The last step whose password was taken; it and those before are refused.
    last_step bigint not null default 0,
    failures integer not null default 0,
    blocked_until timestamptz,
    created_at timestamptz not null default clock_timestamp()
);
create table recovery_codes (
    user_id bigint not null references second_factors (user_id) on delete cascade,
    code_hash bytea not null,
    used_at timestamptz,
    primary key (user_id, code_hash)
);

create table api_keys (
    id uuid primary key,
    user_id bigint not null references users (id),
    name text not null,
    -- SHA-256 of 256 random bits.
    key_hash bytea not null,
    scopes text[] not null,
    created_by bigint not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    constraint api_keys_hash_key unique (key_hash),
    constraint api_keys_scopes_known
        check (scopes <@ array['read', 'book', 'users', 'scan', 'operate', 'admin'] and cardinality(scopes) > 0)
);
create index api_keys_by_user on api_keys (user_id);

-- What somebody is told of themselves.
create index audit_log_of_user on audit_log (user_id, at) where user_id is not null;
