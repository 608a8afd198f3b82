//! Which lane to claim next: [`Scheduler`] finds out, [`LaneSource`] offers the batches to apalis.

mod scheduler;

pub use scheduler::Scheduler;

use std::pin::Pin;
use std::task::{Context, Poll};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::{RandomId, TaskId};
use apalis_core::worker::context::WorkerContext;
use shared::queue::claim::{Batch, Claimed, ClaimedJob};
use tokio::task::JoinHandle;
use tower::layer::util::Identity;

/// An apalis backend whose tasks are batches. Faults of the stores are survived inside, as any error from here
/// would end the worker.
pub struct LaneSource<J = ClaimedJob> {
    scheduler: Scheduler<J>,
    /// The claim under way. A task of its own, so that a batch that was claimed is never dropped with a future.
    claiming: Option<JoinHandle<Option<Batch<J>>>>,
    /// The end of a claim that nobody took before the shutdown.
    giving_back: Option<JoinHandle<()>>,
}

/// Never happens.
#[derive(Debug, thiserror::Error)]
#[error("the lane source does not fail")]
pub enum NoError {}

impl<J: Claimed> LaneSource<J> {
    /// Batches that this scheduler finds.
    pub fn new(scheduler: Scheduler<J>) -> Self {
        Self { scheduler, claiming: None, giving_back: None }
    }

    fn poll_claim(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch<J>>> {
        let scheduler = &self.scheduler;
        let claiming = self.claiming.get_or_insert_with(|| {
            let scheduler = scheduler.clone();
            tokio::spawn(async move { scheduler.next().await })
        });
        let claimed = std::task::ready!(Pin::new(claiming).poll(cx));
        self.claiming = None;
        Poll::Ready(claimed.unwrap_or(None))
    }
}

impl<J: Claimed> Backend for LaneSource<J> {
    type Task = Task<Batch<J>>;
    type Error = NoError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), NoError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, NoError>>> {
        let claimed = std::task::ready!(self.poll_claim(cx));
        Poll::Ready(claimed.map(|batch| {
            let id = format!("{}:{}", batch.lease.event, batch.lease.fence);
            Ok(TaskBuilder::new(batch).task_id(TaskId::from_string(id)).build())
        }))
    }

    /// The scheduler gives a batch back that it claims after the shutdown; one that it had claimed before, and that nobody
    /// has taken, is given back here.
    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), NoError>> {
        if self.claiming.is_some()
            && let Some(batch) = std::task::ready!(self.poll_claim(cx))
        {
            let scheduler = self.scheduler.clone();
            self.giving_back = Some(tokio::spawn(async move { scheduler.give_back(&batch).await }));
        }
        if let Some(giving_back) = &mut self.giving_back {
            // Should it panic, the lease runs out.
            let _ = std::task::ready!(Pin::new(giving_back).poll(cx));
            self.giving_back = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<J: Claimed> BackendConfig for LaneSource<J> {
    type Args = Batch<J>;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
