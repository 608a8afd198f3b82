//! The audit log: written once, read in pages, forgotten by the month.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::domain::UserId;

/// Months that are made ahead of time.
const MONTHS_AHEAD: i32 = 6;

/// A line of the audit log.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    /// Its id.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// From where.
    pub ip: Option<String>,
    /// Who; `None` for nobody known.
    pub user: Option<UserId>,
    /// What was done, such as `queue.pause`.
    pub action: String,
    /// To what.
    pub object: String,
    /// How it ended: `done`, or the code of a refusal.
    pub result: String,
}

/// A line that is still to be written; its time is the moment of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// From where.
    pub ip: Option<IpAddr>,
    /// Who.
    pub user: Option<UserId>,
    /// What was done.
    pub action: &'static str,
    /// To what.
    pub object: String,
    /// How it ended.
    pub result: &'static str,
}

/// Which lines are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// By whom.
    pub user: Option<UserId>,
    /// From this address.
    pub ip: Option<IpAddr>,
    /// This action, or with a dot at its end all that begin so.
    pub action: Option<String>,
    /// Words that the object contains.
    pub object: Option<String>,
    /// This result.
    pub result: Option<String>,
    /// Only what is older than this line.
    pub before: Option<(DateTime<Utc>, i64)>,
}

impl Store {
    /// Lines of the audit log, newest first; from the replica, where there is one.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn audit_lines(
        &self,
        filter: &AuditFilter,
        at_most: i64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let (before, before_id) = filter.before.unzip();
        let rows = self
            .read(|pool| async move {
                sqlx::query_file!(
                    "src/store/sql/audit_lines.sql",
                    filter.from,
                    filter.to,
                    filter.user.map(|user| user.0),
                    filter.ip.map(|ip| ip.to_string()),
                    filter.action,
                    filter.object,
                    filter.result,
                    before,
                    before_id,
                    at_most
                )
                .fetch_all(&pool)
                .await
            })
            .await?;
        let lines = rows.into_iter().map(|row| AuditRecord {
            id: row.id,
            at: row.at,
            ip: row.ip,
            user: row.user_id.map(UserId),
            action: row.action,
            object: row.object,
            result: row.result,
        });
        Ok(lines.collect())
    }

    /// Writes lines into the audit log, all in one statement.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn insert_audits(&self, lines: &[NewAudit]) -> Result<(), StoreError> {
        let ips: Vec<Option<String>> = lines.iter().map(|line| line.ip.map(|ip| ip.to_string())).collect();
        let users: Vec<Option<i64>> = lines.iter().map(|line| line.user.map(|user| user.0)).collect();
        let actions: Vec<String> = lines.iter().map(|line| line.action.to_owned()).collect();
        let objects: Vec<String> = lines.iter().map(|line| line.object.clone()).collect();
        let results: Vec<String> = lines.iter().map(|line| line.result.to_owned()).collect();
        sqlx::query!(
            "insert into audit_log (ip, user_id, action, object, result)
             select ip::inet, user_id, action, object, result
             from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
                 as line (ip, user_id, action, object, result)",
            &ips as &[Option<String>],
            &users as &[Option<i64>],
            &actions,
            &objects,
            &results
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Copies refused bookings into the audit log, so many at most; returns how many. Each is copied once: the
    /// place up to which it has been done moves in the same transaction.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn copy_refusals(&self, at_most: i64) -> Result<u64, StoreError> {
        let copied = sqlx::query_file_scalar!("src/store/sql/copy_refusals.sql", at_most)
            .fetch_optional(&self.pool)
            .await?;
        Ok(copied.map_or(0, i64::unsigned_abs))
    }

    /// Makes the months of the audit log ahead, and drops those that ended more than so many days ago (a year at
    /// least); returns how many were made and dropped.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn turn_audit_months(&self, keep_days: i32) -> Result<(u64, u64), StoreError> {
        let turned = sqlx::query!(
            r#"select make_audit_months($1) as "made!", drop_audit_months($2) as "dropped!""#,
            MONTHS_AHEAD,
            keep_days
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((turned.made.unsigned_abs(), turned.dropped.unsigned_abs()))
    }
}
