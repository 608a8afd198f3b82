//! How much somebody has booked.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Store, StoreError};
use crate::domain::{BookingId, UserId};

/// How much somebody has booked, all events together.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingFigures {
    /// Who.
    pub user_id: UserId,
    /// Bookings ever made.
    pub total: u64,
    /// Of those: open,
    pub created: u64,
    /// being paid,
    pub pending_payment: u64,
    /// paid,
    pub paid: u64,
    /// cancelled,
    pub cancelled: u64,
    /// run out.
    pub expired: u64,
    /// Events that they booked at.
    pub events: u64,
    /// Places that they hold now.
    pub held_places: u64,
    /// Places that they have bought.
    pub sold_places: u64,
    /// When they booked last.
    pub last_booked_at: Option<DateTime<Utc>>,
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Store {
    /// Whose booking that is.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn booking_owner(&self, id: BookingId) -> Result<Option<UserId>, StoreError> {
        let owner = sqlx::query_scalar!("select user_id from bookings where id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(owner.map(UserId))
    }

    /// How much somebody has booked; `None` when there is nobody of this id.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn booking_figures(&self, user: UserId) -> Result<Option<BookingFigures>, StoreError> {
        let row =
            sqlx::query_file!("src/store/sql/booking_figures.sql", user.0).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| BookingFigures {
            user_id: user,
            total: count(row.total),
            created: count(row.created),
            pending_payment: count(row.pending_payment),
            paid: count(row.paid),
            cancelled: count(row.cancelled),
            expired: count(row.expired),
            events: count(row.events),
            held_places: count(row.held),
            sold_places: count(row.sold),
            last_booked_at: row.last_booked_at,
        }))
    }
}
