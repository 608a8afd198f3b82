//! The named queues that a worker works on, one handler each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use shared::config::ServicesConfig;
use shared::queue::Queue;
use shared::store::Store;
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::issue_tickets::TicketIssuer;
use crate::run_jobs::{Backoff, Handler, Policy};
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
/// As [`run_queue`].
pub(crate) async fn run(
    config: WorkerConfig,
    services: ServicesConfig,
    (store, queue): (Store, Queue),
    shutdown: CancellationToken,
) -> Result<(), WorkerEnded> {
    let running = all(&services, &store).into_iter().map(|work| {
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

fn all(_services: &ServicesConfig, store: &Store) -> Vec<Work> {
    vec![tickets(store)]
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
