//! What names the state of the catalogue, and keeps its read model small and right.

use chrono::{DateTime, Utc};

use crate::store::{Store, StoreError};

/// Listings made anew in one transaction.
const AT_ONCE: i64 = 500;

impl Store {
    /// A name for the state of the catalogue, another one after every change that is committed, and PostgreSQL's clock.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn catalogue_version(&self) -> Result<(String, DateTime<Utc>), StoreError> {
        // Where the lists are read: a version that is ahead of them would keep a stale answer for its own.
        let row = self
            .read(|pool| async move {
                sqlx::query!(
                    r#"select coalesce(sum(xid::text::numeric), 0)::text || '.' || count(*) as "version!",
                   clock_timestamp() as "now!"
               from catalogue_changes"#
                )
                .fetch_one(&pool)
                .await
            })
            .await?;
        Ok((row.version, row.now))
    }

    /// Moves listings of what has begun to the archive, makes those anew that are due, and forgets which changes there were
    /// an hour ago; some hundreds at a time. Returns how many listings were made.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn sweep_listings(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let mut ids = sqlx::query_scalar!(
            "delete from listings_due where event_id in (
                 select event_id from listings_due order by event_id limit $1 for update skip locked)
             returning event_id",
            AT_ONCE
        )
        .fetch_all(&mut *tx)
        .await?;
        let begun = sqlx::query_scalar!(
            "select event_id from listed_events
             where not is_past and sort_key < first_sort_key(false, 0) order by sort_key, event_id limit $1",
            AT_ONCE
        )
        .fetch_all(&mut *tx)
        .await?;
        ids.extend(begun);
        if !ids.is_empty() {
            sqlx::query!("select relist($1)", &ids).execute(&mut *tx).await?;
        }
        sqlx::query!(
            "delete from catalogue_changes where xid in (
                 select xid from catalogue_changes where changed_at < statement_timestamp() - interval '1 hour'
                 order by changed_at limit $1)",
            AT_ONCE
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(ids.len() as u64)
    }
}
