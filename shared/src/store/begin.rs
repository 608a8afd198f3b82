//! Beginning a transaction.
//!
//! Whoever asked may go away at any moment: a shopper closes the page, a time runs out. sqlx rolls back what it knows to
//! be a transaction, and knows that only once `BEGIN` was answered; a connection that is left between the two would go
//! back to the pool with a transaction that the next ones write into unknowingly, and that nobody commits
//! (<https://github.com/launchbadge/sqlx/issues/4385>). So a task of its own waits for the answer, and if nobody wants the
//! transaction by then, it is dropped as one.

use sqlx::{Postgres, Transaction};

use super::{Store, StoreError};

impl Store {
    /// A transaction.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin_with("begin").await
    }

    /// A transaction that begins with these statements, `begin` being the first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub(crate) async fn begin_with(
        &self,
        statements: &'static str,
    ) -> Result<Transaction<'static, Postgres>, StoreError> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(statements).await });
        Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
    }
}
