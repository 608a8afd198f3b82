//! Accounts: sessions, codes, changes that are told, second factors, API keys, history, personal data, and the directory that admins read.

mod api_keys;
mod changes;
mod codes;
mod directory;
mod history;
mod personal_data;
mod profile;
mod second_factors;
mod sent_codes;
mod sessions;

pub use api_keys::{ApiKeyRecord, KeyOwner, NewApiKey};
pub(super) use codes::write_code;
pub use codes::{CodeRecord, IssuedCode, NewCode};
pub use directory::{DirectoryQuery, PersonRecord, RoleChange};
pub use history::{HistoryBooking, HistoryOrder, HistoryOrderItem, HistoryTicket};
pub use personal_data::Erased;
pub use profile::{CredentialRecord, ProfileRecord};
pub use second_factors::SecondFactorRecord;
pub use sent_codes::{CodeLimit, CodeLimits};
pub use sessions::{Ended, NewSession, Refreshed};

use super::{Store, StoreError};

fn version(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

impl Store {
    /// Forgets codes of yesterday and where they went, changes that were told a week ago, and sessions that ended before any
    /// access token of now was given, so many rows at most; returns how many.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn sweep_accounts(&self, at_most: i64) -> Result<u64, StoreError> {
        let codes = sqlx::query!(
            "delete from codes where id in (
                 select id from codes where created_at < statement_timestamp() - interval '1 day'
                 order by created_at limit $1)",
            at_most
        )
        .execute(&self.pool)
        .await?;
        let sent = sqlx::query!(
            "delete from sent_codes where id in (
                 select id from sent_codes where sent_at < statement_timestamp() - interval '1 day'
                 order by sent_at limit $1)",
            at_most
        )
        .execute(&self.pool)
        .await?;
        let changes = sqlx::query!(
            "delete from account_changes where id in (
                 select id from account_changes where changed_at < statement_timestamp() - interval '7 days'
                 order by changed_at limit $1)",
            at_most
        )
        .execute(&self.pool)
        .await?;
        let ended = sqlx::query!(
            "delete from ended_sessions where id in (
                 select id from ended_sessions where ended_at < statement_timestamp() - interval '8 days'
                 order by ended_at limit $1)",
            at_most
        )
        .execute(&self.pool)
        .await?;
        let codes = codes.rows_affected() + sent.rows_affected();
        Ok(codes + changes.rows_affected() + ended.rows_affected())
    }
}
