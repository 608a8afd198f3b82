//! The job that issues the tickets of an order that was paid.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use shared::queue::jobs::Job;
use shared::shop::issue_tickets;
use shared::store::{Issued, Store};
use shared::telemetry::chain;
use shared::tickets::IssueTickets;

use crate::progress::Progress;
use crate::run_jobs::{Handler, JobError};

/// Issues tickets; a second delivery finds them issued.
pub struct TicketIssuer {
    store: Store,
}

impl TicketIssuer {
    /// Issues in this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Handler for TicketIssuer {
    fn run<'a>(&'a self, job: &'a Job, _: &'a Progress) -> BoxFuture<'a, Result<(), JobError>> {
        async move {
            let IssueTickets { order } = serde_json::from_slice(&job.payload)
                .map_err(|error| JobError::Fatal(format!("no order to issue for: {error}")))?;
            match issue_tickets(&self.store, order).await {
                Ok(Issued::New(count)) => {
                    tracing::info!(order.id = %order, tickets = count, "issued the tickets of an order");
                    Ok(())
                }
                Ok(Issued::NotPaid) => Err(JobError::Fatal(format!("order {order} is not paid"))),
                Ok(Issued::NoSuchOrder) => Err(JobError::Fatal(format!("there is no order {order}"))),
                Err(fault) => Err(JobError::Retry(chain(&fault))),
            }
        }
        .boxed()
    }
}
