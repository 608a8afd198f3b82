-- People who log in.
create table users (
    id bigint generated always as identity primary key,
    email text not null,
    login text,
    phone text,
    first_name text not null,
    last_name text not null,
    password_hash text,
    role text not null default 'shopper',
    consent_at timestamptz,
    consent_version text,
    created_at timestamptz not null default clock_timestamp(),
    constraint users_role_known check (role in ('shopper', 'operator', 'admin', 'scanner')),
    constraint users_email_lower check (email = lower(email)),
    constraint users_login_lower check (login = lower(login))
);
create unique index users_email_key on users (email);
create unique index users_login_key on users (login) where login is not null;
create unique index users_phone_key on users (phone) where phone is not null;

-- A refresh token works once; its row keeps only a SHA-256 of it.
create table refresh_tokens (
    token_hash bytea primary key,
    user_id bigint not null references users (id) on delete cascade,
    expires_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp()
);
create index refresh_tokens_user on refresh_tokens (user_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);
