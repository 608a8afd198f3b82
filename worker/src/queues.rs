//! The named queues that a worker works on, one handler each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use shared::auth::CodeKeys;
use shared::config::{ConfigError, ServicesConfig};
use shared::domain::OrderId;
use shared::messages::{self, Attachment, Makers, SendError, Sender, TicketDocuments};
use shared::queue::Queue;
use shared::seen::Part;
use shared::shop::checkout::{Checkout, Payments};
use shared::shop::{Carts, Catalogue, Tickets};
use shared::store::{FREE_BOOKINGS, REFUNDS, Store};
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::free_bookings::{self, FreeBookings};
use crate::issue_tickets::TicketIssuer;
use crate::refunds::{self, SendRefunds};
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
    let works = all(&services, &store, &queue).map_err(|error| WorkerEnded(error.into()))?;
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

fn all(services: &ServicesConfig, store: &Store, queue: &Queue) -> Result<Vec<Work>, ConfigError> {
    let payments = Payments::connect(services, (store.clone(), queue.clone()), Part::Worker)?;
    Ok(vec![
        messages(services, store)?,
        tickets(store),
        free_bookings(store, queue, payments.clone()),
        refunds(payments),
    ])
}

fn free_bookings(store: &Store, queue: &Queue, payments: Payments) -> Work {
    let carts = Carts::new(store.clone(), queue.clone(), Catalogue::new(store.clone()));
    let checkout = Checkout::new(store.clone(), carts, payments);
    Work {
        queue: FREE_BOOKINGS,
        handler: Arc::new(FreeBookings::new(checkout)),
        policy: free_bookings::POLICY,
    }
}

fn refunds(payments: Payments) -> Work {
    Work { queue: REFUNDS, handler: Arc::new(SendRefunds::new(payments)), policy: refunds::POLICY }
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
        documents: Arc::new(Documents(Tickets::new(store.clone(), &services.tickets)?)),
    };
    let sender = Sender::new(&services.messages, store.clone(), makers)?;
    Ok(Work {
        queue: messages::QUEUE,
        handler: Arc::new(SendMessages::new(sender)),
        policy: send_messages::policy(&services.messages),
    })
}

/// Tickets as mails carry them.
struct Documents(Tickets);

impl TicketDocuments for Documents {
    fn pdfs(&self, order: OrderId) -> BoxFuture<'_, Result<Vec<Attachment>, SendError>> {
        Box::pin(async move {
            let files = self.0.pdfs(order).await.map_err(|error| SendError::Retry(error.to_string()))?;
            Ok(files.into_iter().map(|(name, bytes)| Attachment { name, bytes: bytes.to_vec() }).collect())
        })
    }
}
