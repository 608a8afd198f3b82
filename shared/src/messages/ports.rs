//! What sending a message takes from outside: a port for each channel, and two for what other parts make.

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::texts::Letter;
use crate::domain::{OrderId, UserId};
use crate::store::StoreError;

/// Why a message was not sent. What is told here is kept with the job and logged, so nobody's address is in it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It may go better later.
    #[error("{0}")]
    Retry(String),
    /// It never will.
    #[error("{0}")]
    Fatal(String),
    /// PostgreSQL is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a message goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// An e-mail.
    Mail,
    /// A text message to a phone.
    Sms,
    /// A message to the devices of an account.
    Push,
}

impl Channel {
    /// As stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Sms => "sms",
            Self::Push => "push",
        }
    }
}

/// A file that goes with a mail.
#[derive(Clone)]
pub struct Attachment {
    /// Its file name.
    pub name: String,
    /// A PDF.
    pub bytes: Vec<u8>,
}

/// A message on its way to one person. It has no `Debug`: what it says is theirs.
#[derive(Clone)]
pub struct Parcel {
    /// The job that sends it: the same at every delivery.
    pub job: Uuid,
    /// To whom; `None` when nobody has that address yet.
    pub user: Option<UserId>,
    /// What it is about, such as `order_paid`.
    pub kind: &'static str,
    /// Their name.
    pub name: String,
    /// E-mail address, phone number, or the user's id.
    pub to: String,
    /// `en`, `uk`, `ru`.
    pub language: &'static str,
    /// What it says.
    pub letter: Letter,
    /// What goes with it, by mail only.
    pub attachments: Vec<Attachment>,
}

/// Sends what goes by one channel.
pub trait Port: Send + Sync + 'static {
    /// Sends a message. It may be called more than once for one job and person: whoever receives it can tell, as job
    /// and person are the same.
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), SendError>>;
}

/// The digits of codes, which stand nowhere.
pub trait CodeDigits: Send + Sync + 'static {
    /// The digits of a code.
    fn digits(&self, id: Uuid) -> String;
}

/// The documents of an order.
pub trait TicketDocuments: Send + Sync + 'static {
    /// The PDFs of an order's tickets; an error is tried again.
    fn pdfs(&self, order: OrderId) -> BoxFuture<'_, Result<Vec<Attachment>, SendError>>;
}

/// No documents: mails of paid orders go without.
#[derive(Debug, Clone, Copy)]
pub struct NoDocuments;

impl TicketDocuments for NoDocuments {
    fn pdfs(&self, _order: OrderId) -> BoxFuture<'_, Result<Vec<Attachment>, SendError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
