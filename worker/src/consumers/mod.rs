//! Usher's side of the event stream: the relay that sends what stands in the outbox, and the groups that handle it.
//!
//! - [`mod@run_consumer`]: reads for a group, handles each part in one transaction, and puts aside what cannot be handled.
//! - [`notifications`], [`analytics`], [`audit`]: what follows from facts.
//! - `relaying`: keeps the relay at work, and tells how far it is behind.

pub mod analytics;
pub mod audit;
pub mod notifications;
mod relaying;
pub mod run_consumer;

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use shared::config::ServicesConfig;
use shared::queue::Queue;
use shared::store::{Consuming, Store, StoreError};
use shared::stream::{Broker, Envelope, Group, StreamError};
use tokio_util::sync::CancellationToken;

use crate::WorkerEnded;
use analytics::Analytics;
use audit::Audit;
use notifications::Notifications;
pub use run_consumer::run_consumer;

/// What follows from facts.
pub trait Consumer: Send + Sync + 'static {
    /// The group that it is.
    fn group(&self) -> Group;

    /// Writes what follows from facts of one topic, all of them new, in their order for each event. It is committed, once,
    /// with the note that they are handled.
    fn handle<'a>(
        &'a self,
        consuming: &'a mut Consuming,
        facts: &'a [&'a Envelope],
    ) -> BoxFuture<'a, Result<(), ConsumeError>>;

    /// Does what else there is to do, some of it; whether there is more.
    ///
    /// # Errors
    /// PostgreSQL is away.
    fn work<'a>(&'a self, _store: &'a Store) -> BoxFuture<'a, Result<bool, shared::shop::Fault>> {
        Box::pin(async { Ok(false) })
    }
}

/// Why facts were not handled.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// PostgreSQL is away, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fact does not say what facts of its topic say.
    #[error("a fact does not say what its topic says")]
    Fact(#[from] serde_json::Error),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Relays and consumes until `shutdown`; what is at hand then is finished.
///
/// # Errors
/// The settings of the stream make no sense.
pub(crate) async fn run(
    services: ServicesConfig,
    (store, queue): (Store, Queue),
    name: &str,
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    let broker = Broker::new(queue, services.stream.clone()).map_err(|error| WorkerEnded(error.into()))?;
    let consumers: [Arc<dyn Consumer>; 3] =
        [Arc::new(Notifications::new(&services.stream)), Arc::new(Analytics), Arc::new(Audit)];
    let mut running: Vec<BoxFuture<'_, ()>> = Vec::new();
    let sink = broker.sink().map_err(ended)?;
    running.push(Box::pin(relaying::run(store.clone(), sink, name.to_owned(), shutdown.clone())));
    for consumer in consumers {
        let source = broker.source(consumer.group(), name).map_err(ended)?;
        running.push(Box::pin(run_consumer(consumer, source, store.clone(), shutdown.clone())));
    }
    running.push(Box::pin(relaying::watch(broker, shutdown)));
    join_all(running).await;
    Ok(())
}

fn ended(error: StreamError) -> WorkerEnded {
    WorkerEnded(error.into())
}
