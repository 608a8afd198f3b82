//! How many codes an account, an address and a number got lately, and all numbers together.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::codes::{NewCode, UNASKED};
use crate::auth::TargetKeys;
use crate::store::StoreError;

/// Codes that one account, or one address or number, gets in an hour. Of those that anybody may ask for this is the only
/// limit, so that a stranger keeps nobody waiting for longer: five tries of each are 1,200 a day, for one of a million codes.
const AN_HOUR: u16 = 10;
/// The same in a day, of codes that only the owner asks for.
const A_DAY: u16 = 20;
/// Codes by SMS that one account gets in a day: each costs money, and nobody has shown that the number is theirs.
const SMS_A_DAY: u16 = 10;
/// Codes by SMS that one number gets in a day, whoever asks.
const SMS_TO_NUMBER_A_DAY: u16 = 5;

/// The channel that costs money.
const SMS: &str = "sms";
const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// By what codes are counted, and how many go out.
#[derive(Debug, Clone)]
pub struct CodeLimits {
    /// Know again where they went.
    pub targets: TargetKeys,
    /// Codes that go out by SMS in a day, whoever asks for them.
    pub sms_a_day: u32,
}

/// What keeps a further code from being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeLimit {
    /// The account or the target got so many within the hour.
    Hour,
    /// They got so many within the day.
    Day,
    /// So many went out by SMS within the day, to whomever.
    AllSms,
}

/// Why no further code is sent, and in how many seconds one may be: by what the account and the target got lately, and by SMS
/// everybody.
pub(super) async fn too_many(
    connection: &mut PgConnection,
    code: &NewCode,
    target_hash: &[u8],
    sms_a_day: u32,
) -> Result<Option<(CodeLimit, u64)>, StoreError> {
    wait_for_others(connection, code, target_hash).await?;
    let sent = sqlx::query!(
        r#"select statement_timestamp() as "now!",
               array(select created_at from codes
                     where user_id = $1 and (purpose = $2) = $3
                         and created_at > statement_timestamp() - interval '1 day'
                     order by created_at desc limit $5) as "by_user!",
               array(select sent_at from sent_codes
                     where target_hash = $4 and is_unasked = $3
                         and sent_at > statement_timestamp() - interval '1 day'
                     order by sent_at desc limit $5) as "to_target!""#,
        code.user.0,
        UNASKED,
        code.purpose == UNASKED,
        target_hash,
        i64::from(A_DAY)
    )
    .fetch_one(&mut *connection)
    .await?;
    let wait = |newest: &[DateTime<Utc>], most: u16, window: TimeDelta| {
        let leaves = newest.get(usize::from(most).checked_sub(1)?).map(|at| *at + window)?;
        seconds_until(leaves, sent.now)
    };
    let hour = wait(&sent.by_user, AN_HOUR, HOUR).max(wait(&sent.to_target, AN_HOUR, HOUR));
    let mut day = None;
    if code.purpose != UNASKED {
        day = wait(&sent.by_user, A_DAY, DAY).max(wait(&sent.to_target, A_DAY, DAY));
    }
    let mut all_sms = None;
    if code.channel == SMS {
        let (by_user, by_all) = sms_waits(connection, code, sms_a_day).await?;
        day = day.max(by_user).max(wait(&sent.to_target, SMS_TO_NUMBER_A_DAY, DAY));
        all_sms = by_all;
    }
    // Whoever comes back after the longest of them meets none.
    let waits = [(CodeLimit::Hour, hour), (CodeLimit::Day, day), (CodeLimit::AllSms, all_sms)];
    let refused = waits.into_iter().filter_map(|(limit, seconds)| Some((limit, seconds?)));
    Ok(refused.max_by_key(|(_, seconds)| *seconds))
}

/// Others with the same target, and by SMS all, come one after the other, so that many at once do not all count too few: until
/// the end of this transaction.
async fn wait_for_others(
    connection: &mut PgConnection,
    code: &NewCode,
    target_hash: &[u8],
) -> Result<(), StoreError> {
    let of_target = target_hash.first_chunk::<8>().filter(|_| code.channel != SMS);
    sqlx::query!(
        r#"select 1 as "one!" from pg_advisory_xact_lock(coalesce($1, hashtext('usher codes by sms')::bigint))"#,
        of_target.map(|first| i64::from_be_bytes(*first))
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// In how many seconds an account may have a further code by SMS, and anybody; `None`: now.
async fn sms_waits(
    connection: &mut PgConnection,
    code: &NewCode,
    sms_a_day: u32,
) -> Result<(Option<u64>, Option<u64>), StoreError> {
    let Some(before_last) = sms_a_day.checked_sub(1) else {
        // None go out at all; a day is as good as any time.
        return Ok((None, u64::try_from(DAY.num_seconds()).ok()));
    };
    // Those that must leave the day, so that less than the limit are left in it.
    let leave = sqlx::query!(
        r#"select statement_timestamp() as "now!",
               (select created_at from codes
                where user_id = $1 and channel = 'sms' and created_at > statement_timestamp() - interval '1 day'
                order by created_at desc offset $2 limit 1) + interval '1 day' as "by_user?",
               (select sent_at from sent_codes
                where channel = 'sms' and sent_at > statement_timestamp() - interval '1 day'
                order by sent_at desc offset $3 limit 1) + interval '1 day' as "by_all?""#,
        code.user.0,
        i64::from(SMS_A_DAY - 1),
        i64::from(before_last)
    )
    .fetch_one(connection)
    .await?;
    let wait = |leaves: Option<DateTime<Utc>>| leaves.and_then(|leaves| seconds_until(leaves, leave.now));
    Ok((wait(leave.by_user), wait(leave.by_all)))
}

/// Whole seconds after which a time has come, 1 at least; `None` when it has.
fn seconds_until(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<u64> {
    let left = u64::try_from((at - now).num_microseconds()?).ok()?;
    (left > 0).then(|| left.div_ceil(1_000_000))
}

/// Counts a code that goes out.
pub(super) async fn note_sent(
    connection: &mut PgConnection,
    code: &NewCode,
    target_hash: &[u8],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sent_codes (channel, target_hash, is_unasked) values ($1, $2, $3)",
        code.channel,
        target_hash,
        code.purpose == UNASKED
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_as_long_as_told_does_not_come_too_early() {
        let now = DateTime::UNIX_EPOCH;
        for (left_us, told) in [(1, 1), (1_000_000, 1), (1_000_001, 2), (86_399_000_001, 86_400)] {
            assert_eq!(
                seconds_until(now + TimeDelta::microseconds(left_us), now),
                Some(told),
                "{left_us} us"
            );
        }
        for past in [TimeDelta::zero(), -HOUR] {
            assert_eq!(seconds_until(now + past, now), None);
        }
    }
}
