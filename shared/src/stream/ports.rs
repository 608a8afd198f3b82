//! How facts are sent and read, whatever the broker.

use futures_util::future::BoxFuture;

use super::{Envelope, Group};
use crate::config::ConfigError;
use crate::queue::QueueError;
use crate::store::StoreError;

/// What the stream could not do.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// PostgreSQL.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Kafka, with what it said.
    #[error("Kafka did not do it: {0}")]
    Kafka(String),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What became of facts that were to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The broker has them, durably as far as it can.
    Done,
    /// Nothing was sent: the broker may have lost what it had of this topic. This is the name of the run that it is in.
    Anew(String),
    /// Nothing was sent: a group is so far behind that it would lose something.
    Behind,
}

/// Where facts are sent.
pub trait Sink: Send + Sync {
    /// Sends facts of one topic, in this order. `run` is the run that the topic is known to be in. When it fails, a first
    /// part of them may have been sent, never a later one without those before it.
    fn append<'a>(
        &'a self,
        topic: &'a str,
        run: &'a str,
        facts: &'a [Envelope],
    ) -> BoxFuture<'a, Result<Appended, StreamError>>;

    /// Says that a topic is in this run from now on.
    fn begin<'a>(&'a self, topic: &'a str, run: &'a str) -> BoxFuture<'a, Result<(), StreamError>>;
}

/// A fact that was handed to a reader.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Of which topic.
    pub topic: String,
    /// What the broker calls it.
    pub id: String,
    /// The fact, or the text that is none.
    pub fact: Result<Envelope, String>,
}

impl Delivery {
    /// Reads what a broker has.
    pub(super) fn of(topic: &str, id: String, text: &str) -> Self {
        let fact = serde_json::from_str(text).map_err(|_| text.to_owned());
        Self { topic: topic.to_owned(), id, fact }
    }
}

/// Where a group reads its facts.
pub trait Source: Send {
    /// Whose it is.
    fn group(&self) -> Group;

    /// The next facts, so many of a topic at most, in order for each topic and event; none when there are none for the
    /// moment. What was handed out and not acknowledged is handed out again, to this reader or, once it is taken for dead,
    /// to another one; nothing that comes after it is, before that.
    fn read(&mut self, at_most: usize) -> BoxFuture<'_, Result<Vec<Delivery>, StreamError>>;

    /// These are handled, and what follows from them is committed.
    fn acknowledge<'a>(&'a mut self, facts: &'a [Delivery]) -> BoxFuture<'a, Result<(), StreamError>>;
}
