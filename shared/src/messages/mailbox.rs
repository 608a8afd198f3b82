//! The mailbox: messages are kept and shown on a page instead of being sent. For `make run` and tests.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::config::MessagesConfig;
use super::ports::{Channel, Parcel, Port, SendError};
use crate::store::{MailboxAttachment, MailboxEntry, MailboxRecord, Store, StoreError};

/// Messages on one page at most.
const MOST: i64 = 200;

/// Puts what goes by a channel into the mailbox. One effect: a job's message to a person is there once.
pub struct MailboxPort {
    store: Store,
    channel: Channel,
}

impl MailboxPort {
    /// The mailbox in place of a channel.
    pub fn new(store: Store, channel: Channel) -> Self {
        Self { store, channel }
    }
}

impl Port for MailboxPort {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let letter = &parcel.letter;
            let (body, html) = match self.channel {
                Channel::Mail => (letter.text(), Some(letter.html())),
                Channel::Sms | Channel::Push => (letter.short.clone(), None),
            };
            let attachments = parcel.attachments.iter();
            let entry = MailboxEntry {
                job: parcel.job,
                channel: self.channel.word(),
                user: parcel.user,
                recipient: &parcel.to,
                kind: parcel.kind,
                subject: &letter.subject,
                body: &body,
                html: html.as_deref(),
                attachments: attachments
                    .map(|file| MailboxAttachment { name: file.name.clone(), bytes: file.bytes.len() })
                    .collect(),
            };
            Ok(self.store.put_into_mailbox(&entry).await?)
        }
        .boxed()
    }
}

/// Why the mailbox is not shown.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// It is not open, or nothing goes there.
    #[error("there is no mailbox here")]
    Closed,
    /// PostgreSQL is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was put into the mailbox.
#[derive(Clone)]
pub struct Mailbox {
    store: Store,
    is_open: bool,
}

impl Mailbox {
    /// The mailbox, open if the settings say so.
    pub fn new(store: Store, config: &MessagesConfig) -> Self {
        Self { store, is_open: config.is_mailbox_open() }
    }

    /// Whether it is shown at all.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Messages before an id (none: the newest), newest first; 1 to 200.
    ///
    /// # Errors
    /// It is closed, or PostgreSQL is away.
    pub async fn newest(
        &self,
        before: Option<i64>,
        at_most: i64,
    ) -> Result<Vec<MailboxRecord>, MailboxError> {
        if !self.is_open {
            return Err(MailboxError::Closed);
        }
        Ok(self.store.mailbox(before.unwrap_or(i64::MAX), at_most.clamp(1, MOST)).await?)
    }
}
