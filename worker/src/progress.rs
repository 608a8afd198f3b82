//! How far a job of a named queue has come, for those who look at it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shared::store::Store;
use uuid::Uuid;

/// It is written no more often than this.
const EVERY: Duration = Duration::from_secs(1);

/// Tells how far one attempt has come.
pub struct Progress {
    store: Store,
    job: Uuid,
    attempt: u32,
    written: Mutex<Option<Instant>>,
}

impl Progress {
    pub(crate) fn new(store: Store, job: Uuid, attempt: u32) -> Self {
        Self { store, job, attempt, written: Mutex::new(None) }
    }

    /// Says that so many percent are done. Written once a second at most, and left out in between; a handler may call it
    /// as often as it likes. A fault of the store is no reason to fail: it is only what is shown that lags.
    pub async fn report(&self, percent: u8) {
        if !self.is_due() {
            return;
        }
        if let Err(error) = self.store.note_progress(self.job, self.attempt, percent).await {
            tracing::debug!(
                job.id = %self.job,
                error = shared::telemetry::chain(&error),
                "progress of a job could not be written"
            );
        }
    }

    fn is_due(&self) -> bool {
        let mut written = self.written.lock();
        let is_due = written.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            *written = Some(Instant::now());
        }
        is_due
    }
}
