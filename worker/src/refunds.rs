//! The queue of refunds: money goes back, orders of a whole event some at a time.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use shared::queue::jobs::Job;
use shared::shop::checkout::{Payments, Refunds, SendError};
use shared::store::RefundJob;

use crate::progress::Progress;
use crate::run_jobs::{Backoff, Handler, JobError, Policy};

/// How refunds are sent. When a refund has failed for good is said by the refund itself, after three days at the earliest
/// unless it is refused; with these rests the attempts last longer than that, those that ended with their worker included.
pub const POLICY: Policy = Policy {
    lanes: 4,
    at_once: 4,
    attempts: 500,
    backoff: Backoff::Exponential { first: Duration::from_secs(2), longest: Duration::from_mins(10) },
    timeout: Duration::from_mins(1),
};

/// Sends refunds.
pub struct SendRefunds {
    refunds: Refunds,
}

impl SendRefunds {
    /// Of these payments.
    pub fn new(payments: Payments) -> Self {
        Self { refunds: Refunds::new(payments) }
    }
}

impl Handler for SendRefunds {
    fn run<'a>(&'a self, job: &'a Job, _: &'a Progress) -> BoxFuture<'a, Result<(), JobError>> {
        async move {
            let what: RefundJob = serde_json::from_slice(&job.payload)
                .map_err(|_| JobError::Fatal("its payload is no refund".to_owned()))?;
            self.refunds.run(&what).await.map_err(|error| match error {
                SendError::Later(why) => JobError::Retry(why),
                SendError::Never(why) => JobError::Fatal(why),
            })
        }
        .boxed()
    }
}
