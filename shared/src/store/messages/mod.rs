//! What messages need of PostgreSQL: who gets one, what it is about, and what was sent.

mod facts;
mod mailbox;

use uuid::Uuid;

pub use facts::{
    LocalTime, ToldCart, ToldChange, ToldDifference, ToldItem, ToldOrder, ToldPlace, ToldRefund, ToldShow,
};
pub use mailbox::{MailboxAttachment, MailboxEntry, MailboxRecord};

use super::{Store, StoreError};
use crate::domain::UserId;

/// Admins that one message goes to at most.
const MOST_ADMINS: i64 = 50;
/// Retries of retries that are followed back.
const MOST_RETRIES: i32 = 100;

/// Somebody who is told something.
#[derive(Clone, PartialEq, Eq)]
pub struct Addressee {
    /// Who.
    pub id: UserId,
    /// Where mail reaches them.
    pub email: String,
    /// As given.
    pub first_name: String,
    /// `en`, `uk`, `ru`.
    pub language: String,
    /// Where SMS about bookings and orders reach them; `None` when they have no phone or have not switched it on.
    pub sms_to: Option<String>,
}

/// A code that is still good, and where it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeTarget {
    /// Whose it is.
    pub user: Option<UserId>,
    /// What it confirms.
    pub purpose: String,
    /// The value that it was made for.
    pub target: String,
    /// Minutes that it is good for, rounded up.
    pub minutes: u32,
}

/// A message to one person on one channel.
#[derive(Debug, Clone, Copy)]
pub struct SentMessage<'a> {
    /// The job that was written with the fact.
    pub job: Uuid,
    /// `mail`, `sms`, `push`.
    pub channel: &'a str,
    /// To whom.
    pub user: Option<UserId>,
    /// What it said.
    pub kind: &'a str,
}

impl Store {
    /// Somebody to tell something; nobody, once they were erased.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn addressee(&self, user: UserId) -> Result<Option<Addressee>, StoreError> {
        let row = sqlx::query!(
            "select id, email, first_name, language, case when sms_updates then phone end as sms_to
             from users where id = $1 and erased_at is null",
            user.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Addressee {
            id: UserId(row.id),
            email: row.email,
            first_name: row.first_name,
            language: row.language,
            sms_to: row.sms_to,
        }))
    }

    /// Every admin, so many at most.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn admins_to_tell(&self) -> Result<Vec<Addressee>, StoreError> {
        let rows = sqlx::query!(
            "select id, email, first_name, language, case when sms_updates then phone end as sms_to
             from users where role = 'admin' order by id limit $1",
            MOST_ADMINS
        )
        .fetch_all(&self.pool)
        .await?;
        let of = rows.into_iter().map(|row| Addressee {
            id: UserId(row.id),
            email: row.email,
            first_name: row.first_name,
            language: row.language,
            sms_to: row.sms_to,
        });
        Ok(of.collect())
    }

    /// Where a code goes; `None` once it has run out or was used.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn code_target(&self, code: Uuid) -> Result<Option<CodeTarget>, StoreError> {
        let row = sqlx::query!(
            r#"select user_id as "user_id?", purpose, target,
                   ceil(extract(epoch from expires_at - clock_timestamp()) / 60)::integer as "minutes!"
               from codes where id = $1 and closed_at is null and expires_at > clock_timestamp()"#,
            code
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| CodeTarget {
            user: row.user_id.map(UserId),
            purpose: row.purpose,
            target: row.target,
            minutes: u32::try_from(row.minutes).unwrap_or(0),
        }))
    }

    /// The job that was written with the fact, where this one was made by retrying.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn origin_of_job(&self, job: Uuid) -> Result<Uuid, StoreError> {
        let origin = sqlx::query_scalar!(
            r#"with recursive before as (
                   select id, retry_of, 0 as steps from jobs where id = $1
                   union all
                   select j.id, j.retry_of, b.steps + 1 from before b join jobs j on j.id = b.retry_of
                   where b.steps < $2
               )
               select coalesce(retry_of, id) as "origin!" from before order by steps desc limit 1"#,
            job,
            MOST_RETRIES
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(origin.unwrap_or(job))
    }

    /// Whom a job has told already, and on which channels.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn sent_by(&self, job: Uuid) -> Result<Vec<(String, Option<UserId>)>, StoreError> {
        let rows = sqlx::query!("select channel, user_id from messages_sent where job_id = $1", job)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| (row.channel, row.user_id.map(UserId))).collect())
    }

    /// Notes that a message was sent; noting it twice is as once.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_message_sent(&self, sent: &SentMessage<'_>) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into messages_sent (job_id, channel, user_id, kind) values ($1, $2, $3, $4)
             on conflict do nothing",
            sent.job,
            sent.channel,
            sent.user.map(|user| user.0),
            sent.kind
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
