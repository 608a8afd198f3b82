//! Reads that may lag go to a streaming replica, and to the primary while that is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::in_time::{giving_up, in_time};
use super::{Store, StoreError};

/// A replica that does not answer within this time is away.
const PATIENCE: Duration = Duration::from_millis(500);
/// The replica must answer within this time: whoever asks shall have it from the primary before they give up.
const ANSWER: Duration = Duration::from_secs(4);
/// For so long it is not asked again then.
const REST: Duration = Duration::from_secs(5);

/// A replica; clones share its connections.
#[derive(Clone)]
pub(super) struct Replica {
    pool: PgPool,
    away_until: Arc<Mutex<Option<Instant>>>,
}

impl Replica {
    /// Connects when it is first needed: a replica that is away keeps nobody from starting.
    pub(super) fn new(options: PgConnectOptions, max_connections: u32) -> Self {
        let pool = giving_up(PgPoolOptions::new())
            .max_connections(max_connections)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options);
        Self { pool, away_until: Arc::default() }
    }

    fn is_away(&self) -> bool {
        self.away_until.lock().is_some_and(|until| Instant::now() < until)
    }
}

impl Store {
    /// Reads what may lag: at the replica, if there is one that answers, else at the primary. Not for what decides
    /// anything, nor for what somebody has just written themselves.
    ///
    /// # Errors
    /// The statement fails at the primary too.
    pub(super) async fn read<T, F>(&self, read: impl Fn(PgPool) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let reading = |store: Store| {
            let rows = read(store.pool);
            async move { Ok(rows.await?) }
        };
        self.read_with(reading).await
    }

    /// The same for what takes several statements: `read` is given a store of which all go to one place.
    ///
    /// # Errors
    /// It fails at the primary too.
    pub(super) async fn read_with<T, F>(&self, read: impl Fn(Store) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if let Some(replica) = self.replica.as_ref().filter(|replica| !replica.is_away()) {
            match in_time(ANSWER, read(Self { pool: replica.pool.clone(), replica: None })).await {
                Ok(rows) => return Ok(rows),
                Err(error) => {
                    metrics::counter!("usher_replica_reads_failed_total").increment(1);
                    tracing::warn!(
                        error = crate::telemetry::chain(&error),
                        "replica did not answer; the primary is read in its place for some seconds"
                    );
                    *replica.away_until.lock() = Some(Instant::now() + REST);
                }
            }
        }
        read(Self { pool: self.pool.clone(), replica: None }).await
    }
}
