//! Messages that are kept to be looked at instead of being sent.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::UserId;
use crate::store::{Store, StoreError};

/// Days for which the mailbox keeps messages.
const DAYS: i32 = 7;
/// Messages that it keeps at most.
const KEPT: i64 = 5_000;
/// Days for which it is known what was sent; longer than jobs are kept, so that none is done twice.
const SENT_DAYS: i32 = 30;

/// A message to keep.
pub struct MailboxEntry<'a> {
    /// The job that sends it.
    pub job: Uuid,
    /// `mail`, `sms`, `push`.
    pub channel: &'a str,
    /// To whom.
    pub user: Option<UserId>,
    /// The address, the number or the name.
    pub recipient: &'a str,
    /// What it is about.
    pub kind: &'a str,
    /// As shown.
    pub subject: &'a str,
    /// Plain text.
    pub body: &'a str,
    /// The same as a page.
    pub html: Option<&'a str>,
    /// What is attached.
    pub attachments: Vec<MailboxAttachment>,
}

/// Something attached; the mailbox does not keep what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MailboxAttachment {
    /// Its file name.
    pub name: String,
    /// Its size.
    pub bytes: usize,
}

/// A message in the mailbox.
pub struct MailboxRecord {
    /// Rises with every message.
    pub id: i64,
    /// The job that sent it.
    pub job: Uuid,
    /// `mail`, `sms`, `push`.
    pub channel: String,
    /// The address, the number or the name.
    pub recipient: String,
    /// What it is about.
    pub kind: String,
    /// As shown.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The same as a page.
    pub html: Option<String>,
    /// What is attached.
    pub attachments: Vec<MailboxAttachment>,
    /// When it came.
    pub sent_at: DateTime<Utc>,
}

impl Store {
    /// Puts a message into the mailbox; a second one of the same job to the same person is the first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn put_into_mailbox(&self, entry: &MailboxEntry<'_>) -> Result<(), StoreError> {
        let attachments = serde_json::to_string(&entry.attachments)
            .map_err(|_| StoreError::Row("attachments that are no JSON"))?;
        sqlx::query!(
            "insert into mailbox (job_id, channel, user_id, recipient, kind, subject, body, html, attachments)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json)
             on conflict do nothing",
            entry.job,
            entry.channel,
            entry.user.map(|user| user.0),
            entry.recipient,
            entry.kind,
            entry.subject,
            entry.body,
            entry.html,
            attachments
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Messages in the mailbox before an id, newest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn mailbox(&self, before: i64, at_most: i64) -> Result<Vec<MailboxRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, job_id, channel, recipient, kind, subject, body, html,
                   attachments::text as "attachments!", sent_at
               from mailbox where id < $1 order by id desc limit $2"#,
            before,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        let of = rows.into_iter().map(|row| MailboxRecord {
            id: row.id,
            job: row.job_id,
            channel: row.channel,
            recipient: row.recipient,
            kind: row.kind,
            subject: row.subject,
            body: row.body,
            html: row.html,
            attachments: serde_json::from_str(&row.attachments).unwrap_or_default(),
            sent_at: row.sent_at,
        });
        Ok(of.collect())
    }

    /// Forgets what the mailbox has too long or too much of, and what was sent long ago; returns how many rows went.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn forget_messages(&self, at_most: i64) -> Result<u64, StoreError> {
        let shown = sqlx::query!(
            "delete from mailbox where id in (
                 select id from mailbox
                 where sent_at < statement_timestamp() - make_interval(days => $1)
                     or id <= (select id from mailbox order by id desc offset $2 limit 1)
                 order by id limit $3)",
            DAYS,
            KEPT,
            at_most
        )
        .execute(&self.pool)
        .await?;
        let sent = sqlx::query!(
            "delete from messages_sent where (job_id, channel) in (
                 select job_id, channel from messages_sent
                 where sent_at < statement_timestamp() - make_interval(days => $1) limit $2)",
            SENT_DAYS,
            at_most
        )
        .execute(&self.pool)
        .await?;
        Ok(shown.rows_affected() + sent.rows_affected())
    }
}
