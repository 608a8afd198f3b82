//! The named queues that a worker works on, one handler each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use shared::auth::CodeKeys;
use shared::config::{ConfigError, ServicesConfig};
use shared::messages::{self, Makers, NoDocuments, Sender};
use shared::queue::Queue;
use shared::store::Store;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::issue_tickets::TicketIssuer;
use crate::run_jobs::{Backoff, Handler, Policy};
use crate::send_messages::{self, SendMessages};
use crate::{WorkerEnded, run_queue};

/// A queue and how it is worked on.
struct Work {
    queue: &'static str,
    handler: Arc<dyn Handler>,
    policy: Policy,
}

/// Works on all of them until `shutdown`.
///
/// # Errors
/// As [`run_queue`], or the settings of a queue make no sense.
pub(crate) async fn run(
    config: WorkerConfig,
    services: ServicesConfig,
    (store, queue): (Store, Queue),
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    let works = all(&services, &store).map_err(|error| WorkerEnded(error.into()))?;
    let running = works.into_iter().map(|work| {
        run_queue(
            work.queue,
            work.handler,
            work.policy,
            config.clone(),
            (store.clone(), &queue),
            shutdown.clone(),
        )
    });
    try_join_all(running).await?;
    Ok(())
}

fn all(services: &ServicesConfig, store: &Store) -> Result<Vec<Work>, ConfigError> {
    Ok(vec![messages(services, store)?, tickets(store)])
}

fn tickets(store: &Store) -> Work {
    let policy = Policy {
        lanes: 4,
        at_once: 8,
        attempts: 20,
        backoff: Backoff::Exponential { first: Duration::from_secs(1), longest: Duration::from_mins(5) },
        timeout: Duration::from_secs(20),
    };
    Work { queue: shared::tickets::QUEUE, handler: Arc::new(TicketIssuer::new(store.clone())), policy }
}

fn messages(services: &ServicesConfig, store: &Store) -> Result<Work, ConfigError> {
    let makers = Makers {
        digits: Arc::new(CodeKeys::new(&services.auth.secrets()?)),
        documents: Arc::new(NoDocuments),
    };
    let sender = Sender::new(&services.messages, store.clone(), makers)?;
    Ok(Work {
        queue: messages::QUEUE,
        handler: Arc::new(SendMessages::new(sender)),
        policy: send_messages::policy(&services.messages),
    })
}
