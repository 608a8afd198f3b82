-- Messages tell times as the clock at the venue shows them.
alter table venues add column if not exists time_zone text not null default 'UTC';
alter table venues add constraint venues_time_zone_known
    check (timezone(time_zone, timestamptz '2000-01-01 00:00:00+00') is not null);

-- What was sent, so that a job which is delivered twice, or done once more, tells nobody twice. `job_id` is the job that
-- was written with the fact, also when another one retries it.
create table messages_sent (
    job_id uuid not null,
    channel text not null,
    user_id bigint,
    kind text not null,
    sent_at timestamptz not null default clock_timestamp(),
    constraint messages_sent_key unique nulls not distinct (job_id, channel, user_id),
    constraint messages_sent_channel_known check (channel in ('mail', 'sms', 'push'))
);
create index messages_sent_by_time on messages_sent (sent_at);

-- The mailbox: messages that are shown on a page in place of being sent.
create table mailbox (
    id bigint generated always as identity primary key,
    job_id uuid not null,
    channel text not null,
    user_id bigint,
    recipient text not null,
    kind text not null,
    subject text not null,
    body text not null,
    html text,
    -- Names and sizes only.
    attachments json not null default '[]',
    sent_at timestamptz not null default clock_timestamp(),
    constraint mailbox_key unique nulls not distinct (job_id, channel, user_id),
    constraint mailbox_channel_known check (channel in ('mail', 'sms', 'push'))
);
create index mailbox_by_time on mailbox (sent_at);
