//! What admins do to the catalogue. Each change is one transaction with its line in the audit log.

mod added;
mod areas;
mod artists;
mod event_rows;
mod events;
mod layouts;
mod places;
mod venues;

pub use added::{AddedPlaces, NewSeat};
pub use areas::{Cut, Resizing};
pub use artists::ArtistData;
pub use events::{Deleted, EventData, EventRow, NewTier};
pub use layouts::{LayoutRow, NewLayout};
pub use places::{Removal, RemovedPlace};
pub use venues::VenueData;

use std::net::IpAddr;

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::{EventId, UserId};

/// Who does it, and from where.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// Who.
    pub user: UserId,
    /// Their address.
    pub ip: Option<IpAddr>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// So many before it.
    pub offset: i64,
    /// So many at most.
    pub limit: i64,
}

/// Writes a line of the audit log in the transaction of what was done.
async fn audit(connection: &mut PgConnection, by: &By, action: &str, object: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into audit_log (ip, user_id, action, object, result) values ($1::text::inet, $2, $3, $4, 'done')",
        by.ip.map(|ip| ip.to_string()),
        by.user.0,
        action,
        object
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks the row of an event's lane, as every batch does, and raises its version: whatever a worker has proposed by now is
/// decided anew.
async fn lock_lane(connection: &mut PgConnection, event: EventId) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into lanes (event_id, version) values ($1, 1)
         on conflict (event_id) do update set version = lanes.version + 1",
        event.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A layout of 100,000 seats takes longer than a statement of the busy paths may.
async fn allow_time(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql("set local statement_timeout = '14s'").execute(connection).await?;
    Ok(())
}

/// A new layout for everybody who has the old one in memory.
async fn raise_layout(connection: &mut PgConnection, event: EventId) -> Result<(), StoreError> {
    sqlx::query!("update events set layout_version = layout_version + 1 where id = $1", event.0)
        .execute(connection)
        .await?;
    Ok(())
}

fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn column(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
