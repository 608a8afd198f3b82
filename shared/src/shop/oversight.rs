//! What those who run Usher see of it: who did what, what goes wrong, how much is going on.

use super::Fault;
use crate::store::{ActivityRecord, AuditFilter, AuditRecord, ErrorRecord, Store};

/// The administration's view; clones share it.
#[derive(Clone)]
pub struct Oversight {
    store: Store,
}

impl Oversight {
    /// Over this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Lines of the audit log, newest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn audit_lines(&self, filter: &AuditFilter, at_most: i64) -> Result<Vec<AuditRecord>, Fault> {
        Ok(self.store.audit_lines(filter, at_most).await?)
    }

    /// What went wrong, latest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn errors(
        &self,
        process: Option<&str>,
        code: Option<&str>,
        at_most: i64,
    ) -> Result<Vec<ErrorRecord>, Fault> {
        Ok(self.store.errors_seen(process, code, at_most).await?)
    }

    /// What people did in the last so many minutes, newest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn activity(&self, minutes: i32) -> Result<Vec<ActivityRecord>, Fault> {
        Ok(self.store.activity(minutes).await?)
    }
}
