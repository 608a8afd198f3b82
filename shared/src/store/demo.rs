//! Demo data: a stadium, a theatre, a club, and people to try them with.

use super::{Store, StoreError};

impl Store {
    /// Loads the demo data, unless there is an event already; true when it was loaded. `password_hash` is for
    /// the demo accounts.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn load_demo(&self, password_hash: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::raw_sql(
            "set local statement_timeout = 0; select pg_advisory_xact_lock(hashtext('usher demo'))",
        )
        .execute(&mut *tx)
        .await?;
        let is_there = sqlx::query_scalar!(r#"select exists (select 1 from events) as "is_there!""#)
            .fetch_one(&mut *tx)
            .await?;
        if is_there {
            return Ok(false);
        }
        sqlx::raw_sql(include_str!("sql/demo.sql")).execute(&mut *tx).await?;
        sqlx::query!(
            "update users set password_hash = $1 where email like '%@usher.test' and email not like 'crowd-%'",
            password_hash
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        sqlx::raw_sql("analyze").execute(&self.pool).await?;
        Ok(true)
    }
}
