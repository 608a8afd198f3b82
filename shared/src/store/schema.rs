//! The schema: brought up to date by whoever may, and held against this program by everybody.

use std::collections::HashMap;

use super::{Store, StoreError};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// PostgreSQL does not know a table.
const NO_TABLE: &str = "42P01";

/// Why a schema is none for this program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Migrations are missing.
    #[error(
        "the schema is behind this program: migration {version} ({description}) is missing, the first of {missing}; \
         run `usher migrate` of this version with the owner's DATABASE_URL, then start this process again"
    )]
    Behind {
        /// The first one that is missing.
        version: i64,
        /// What it is about.
        description: String,
        /// How many are missing.
        missing: usize,
    },
    /// A migration is another one than this program knows.
    #[error(
        "migration {version} of the schema is another one than this program was built with; \
         DATABASE_URL names the database of another program, or one that was changed by hand"
    )]
    Foreign {
        /// The first such one.
        version: i64,
    },
}

impl Store {
    /// Brings the schema up to date; safe when several processes do it at once.
    ///
    /// # Errors
    /// A migration failed, or the schema is newer than this program.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        // A migration may take longer than a statement of the running system.
        sqlx::raw_sql("set statement_timeout = 0; set lock_timeout = 0").execute(&mut *connection).await?;
        MIGRATOR.run_direct(None, &mut *connection, false).await?;
        connection.close().await?;
        Ok(())
    }

    /// Holds the schema against what this program was built with. One that is ahead is what programs of the version
    /// before meet while they are replaced: it is warned of.
    ///
    /// # Errors
    /// The schema is behind, or somebody else's; PostgreSQL is away.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        // Not checked when it is built: sqlx makes this table, no migration does.
        let applied: Result<Vec<(i64, Vec<u8>)>, sqlx::Error> =
            sqlx::query_as("select version, checksum from _sqlx_migrations where success")
                .fetch_all(&self.pool)
                .await;
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) if has_code(&error, NO_TABLE) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if let Some(newest) = compare(&applied.into_iter().collect())? {
            tracing::warn!(
                version = newest,
                "the schema is ahead of this program; that is well while an upgrade is under way, and not for long"
            );
        }
        Ok(())
    }
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(wanted))
}

/// The newest migration that this program does not know, if there is one.
fn compare(applied: &HashMap<i64, Vec<u8>>) -> Result<Option<i64>, SchemaError> {
    let known = || MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration());
    let mut missing = known().filter(|migration| !applied.contains_key(&migration.version));
    if let Some(first) = missing.next() {
        return Err(SchemaError::Behind {
            version: first.version,
            description: first.description.to_string(),
            missing: 1 + missing.count(),
        });
    }
    let mut foreign = known().filter(|migration| {
        applied.get(&migration.version).is_some_and(|checksum| checksum[..] != migration.checksum[..])
    });
    if let Some(first) = foreign.next() {
        return Err(SchemaError::Foreign { version: first.version });
    }
    Ok(applied.keys().copied().filter(|version| !MIGRATOR.version_exists(*version)).max())
}
