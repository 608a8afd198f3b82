//! `GET /api/mailbox`

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::store::{MailboxAttachment, MailboxRecord};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::MailboxReader;
use crate::app::App;
use crate::caller::Query;
use crate::problem::{Problem, ProblemBody};

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
pub struct MailboxQuery {
    /// 1 to 200.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: i64,
    /// Only those before this id.
    pub(super) before: Option<i64>,
}

fn usual() -> i64 {
    50
}

/// Messages, newest first.
#[derive(Serialize, ToSchema)]
pub struct MailboxList {
    items: Vec<MailboxItem>,
}

/// A message that was put into the mailbox.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxItem {
    id: i64,
    /// The job that sent it.
    job_id: Uuid,
    /// `mail`, `sms`, `push`.
    channel: String,
    /// What it is about, such as `order_paid`.
    kind: String,
    /// The address, the number or the user.
    to: String,
    subject: String,
    /// Plain text.
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    attachments: Vec<MailboxAttachment>,
    sent_at: DateTime<Utc>,
}

impl From<MailboxRecord> for MailboxItem {
    fn from(record: MailboxRecord) -> Self {
        let MailboxRecord { id, job, channel, recipient, kind, subject, body, html, attachments, sent_at } =
            record;
        Self { id, job_id: job, channel, kind, to: recipient, subject, body, html, attachments, sent_at }
    }
}

/// Messages that were put into the mailbox, newest first; 404 where it is not open.
#[utoipa::path(get, path = "/api/mailbox", tag = "mailbox", params(MailboxQuery),
    responses((status = 200, body = MailboxList), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn list_mailbox(
    State(app): State<App>,
    _reader: MailboxReader,
    Query(query): Query<MailboxQuery>,
) -> Result<Json<MailboxList>, Problem> {
    let messages = app.mailbox.newest(query.before, query.limit).await?;
    Ok(Json(MailboxList { items: messages.into_iter().map(MailboxItem::from).collect() }))
}
