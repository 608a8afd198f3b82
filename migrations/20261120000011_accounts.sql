-- Codes that confirm a new e-mail address, phone number, login or password.
create table codes (
    id uuid primary key,
    user_id bigint not null,
    purpose text not null,
    target text not null,
    expires_at timestamptz not null
);
