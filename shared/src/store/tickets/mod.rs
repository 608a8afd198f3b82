//! Tickets: issued once for each place that was sold, read, used once, cancelled.

mod check_in;
mod issue;

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{EventId, Money, OrderId, OrderItemId, TicketId, UserId};

pub use check_in::{Entry, NewScan};
pub use issue::Issued;

/// A ticket with what it is for.
#[derive(Debug, Clone)]
pub struct TicketRecord {
    /// Its id.
    pub id: TicketId,
    /// Its number.
    pub number: String,
    /// `valid`, `used`, `expired`, `cancelled`.
    pub status: String,
    /// Of which order.
    pub order: OrderId,
    /// For which event.
    pub event: EventId,
    /// The event's name.
    pub event_name: String,
    /// Who plays, in order.
    pub artists: Vec<String>,
    /// The venue's name.
    pub venue: String,
    /// The venue's city.
    pub city: String,
    /// The venue's time zone.
    pub time_zone: String,
    /// When the event begins.
    pub starts_at: DateTime<Utc>,
    /// The same on a clock at the venue.
    pub starts_there: NaiveDateTime,
    /// The place in words.
    pub place: String,
    /// The price tier's name.
    pub tier: String,
    /// What was paid.
    pub price: Money,
    /// Whose it is.
    pub user: UserId,
    /// Their first and last name.
    pub holder: String,
    /// Their language.
    pub language: String,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it was used.
    pub used_at: Option<DateTime<Utc>>,
    /// Where it was used.
    pub used_gate: Option<String>,
    /// When it was cancelled.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// PostgreSQL's clock when this was read.
    pub read_at: DateTime<Utc>,
}

impl Store {
    /// Tickets by their ids, those issued last first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn tickets(&self, ids: &[TicketId], event_hours: u16) -> Result<Vec<TicketRecord>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query_file!("src/store/sql/tickets.sql", &ids, i32::from(event_hours))
            .fetch_all(&self.pool)
            .await?;
        let tickets = rows.into_iter().map(|row| TicketRecord {
            id: TicketId(row.id),
            number: row.number,
            status: row.status,
            order: OrderId(row.order_id),
            event: EventId(row.event_id),
            event_name: row.event_name,
            artists: row.artists,
            venue: row.venue,
            city: row.city,
            time_zone: row.time_zone,
            starts_at: row.starts_at,
            starts_there: row.starts_there,
            place: row.place,
            tier: row.tier_name,
            price: Money { amount: row.price_minor, currency: row.currency },
            user: UserId(row.user_id),
            holder: format!("{} {}", row.first_name, row.last_name),
            language: row.language,
            issued_at: row.issued_at,
            used_at: row.used_at,
            used_gate: row.used_gate,
            cancelled_at: row.cancelled_at,
            read_at: row.read_at,
        });
        Ok(tickets.collect())
    }

    /// A page of the tickets of somebody, those issued last first, and how many there are.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn ticket_ids_of_user(
        &self,
        user: UserId,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<TicketId>, u64), StoreError> {
        let ids = sqlx::query_scalar!(
            "select id from tickets where user_id = $1 order by issued_at desc, id desc offset $2 limit $3",
            user.0,
            offset,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        let total =
            sqlx::query_scalar!(r#"select count(*) as "count!" from tickets where user_id = $1"#, user.0)
                .fetch_one(&self.pool)
                .await?;
        Ok((ids.into_iter().map(TicketId).collect(), u64::try_from(total).unwrap_or(0)))
    }

    /// The tickets of an order, so many at most.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn ticket_ids_of_order(
        &self,
        order: OrderId,
        at_most: i64,
    ) -> Result<Vec<TicketId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "select t.id from order_items i join tickets t on t.order_item_id = i.id
             where i.order_id = $1 order by t.id limit $2",
            order.0,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(TicketId).collect())
    }
}

/// Cancels the tickets of these order items, used or not; returns those that were not cancelled before. The caller has
/// locked the order.
///
/// # Errors
/// PostgreSQL is away.
pub async fn cancel_tickets(
    connection: &mut PgConnection,
    items: &[OrderItemId],
) -> Result<Vec<TicketId>, StoreError> {
    let items: Vec<Uuid> = items.iter().map(|item| item.0).collect();
    // In the order in which check-ins lock them.
    let ids = sqlx::query_scalar!(
        "select id from tickets where order_item_id = any($1) and status <> 'cancelled' order by id for update",
        &items
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "update tickets set status = 'cancelled', cancelled_at = clock_timestamp() where id = any($1)",
        &ids
    )
    .execute(connection)
    .await?;
    Ok(ids.into_iter().map(TicketId).collect())
}
