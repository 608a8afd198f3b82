-- Codes that went out, counted by where they went: each comes to whatever address or number was typed, and an SMS costs money.
-- The rows of `codes` go with an account that is erased, and these counts must not, as accounts cost nothing. What is older than
-- a day is deleted by the sweeper.
create table sent_codes (
    id bigint generated always as identity primary key,
    channel text not null,
    -- HMAC-SHA-256 of the address, or of the number's digits without zeros before them, under a key that follows from JWT_SECRET:
    -- it tells the same target again. No row says whose it was, and nobody reads it back without that secret; with it numbers can
    -- be tried one by one. After a change of the secret nothing is known again, and the counts of a day begin anew.
    target_hash bytea not null,
    -- Whoever knew a name could ask for it, as for one that resets a password; counted apart from what only the owner asks for.
    is_unasked boolean not null,
    sent_at timestamptz not null default clock_timestamp(),
    constraint sent_codes_channel_known check (channel in ('email', 'sms'))
);
create index sent_codes_by_target on sent_codes (target_hash, sent_at);
create index sent_codes_by_sms on sent_codes (sent_at) where channel = 'sms';
create index sent_codes_by_time on sent_codes (sent_at);
-- They were counted by it.
drop index codes_by_target;
