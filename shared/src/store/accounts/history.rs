//! What somebody has booked, ordered and bought.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{BookingId, EventId, Money, OrderId, OrderItemId, TicketId, UserId};
use crate::store::{Store, StoreError};

/// A booking of the past or of now.
#[derive(Debug, Clone)]
pub struct HistoryBooking {
    /// Its id.
    pub id: BookingId,
    /// For which event.
    pub event: EventId,
    /// Its name.
    pub event_name: String,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// `created`, `pending_payment`, `paid`, `cancelled`, `expired`.
    pub status: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
}

/// An order.
#[derive(Debug, Clone)]
pub struct HistoryOrder {
    /// Its id.
    pub id: OrderId,
    /// See `docs/STATES.md`.
    pub status: String,
    /// What it costs.
    pub total: Money,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// What is in it.
    pub items: Vec<HistoryOrderItem>,
}

/// One place in an order.
#[derive(Debug, Clone)]
pub struct HistoryOrderItem {
    /// Its id.
    pub id: OrderItemId,
    /// Of which booking.
    pub booking: BookingId,
    /// For which event.
    pub event: EventId,
    /// The place in words.
    pub place: String,
    /// The name of its price tier.
    pub tier: String,
    /// What it costs.
    pub price: Money,
    /// `held`, `sold`, `released`, `refunding`, `refunded`.
    pub status: String,
    /// Its ticket, once there is one.
    pub ticket: Option<TicketId>,
}

/// A ticket.
#[derive(Debug, Clone)]
pub struct HistoryTicket {
    /// Its id.
    pub id: TicketId,
    /// The number on it.
    pub number: String,
    /// `valid`, `used`, `expired`, `cancelled`.
    pub status: String,
    /// For which event.
    pub event: EventId,
    /// Its name.
    pub event_name: String,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// The place in words.
    pub place: String,
    /// The name of its price tier.
    pub tier: String,
    /// What was paid.
    pub price: Money,
    /// Of which order.
    pub order: OrderId,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it was used.
    pub used_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Bookings of somebody, newest first, and how many there are.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn history_bookings(
        &self,
        user: UserId,
        (offset, limit): (i64, i64),
    ) -> Result<(Vec<HistoryBooking>, i64), StoreError> {
        let rows = sqlx::query!(
            r#"select b.id, b.event_id, e.name, e.starts_at, b.created_at, b.closed_at,
                   case when b.status = 'created' and b.expires_at <= clock_timestamp()
                           and not exists (select 1 from seat_claims c
                               where c.booking_id = b.id and c.expires_at > clock_timestamp())
                           and not exists (select 1 from area_claims c
                               where c.booking_id = b.id and c.expires_at > clock_timestamp())
                       then 'expired' else b.status end as "status!"
               from bookings b join events e on e.id = b.event_id
               where b.user_id = $1 order by b.created_at desc, b.id desc offset $2 limit $3"#,
            user.0,
            offset,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        let total =
            sqlx::query_scalar!(r#"select count(*) as "n!" from bookings where user_id = $1"#, user.0)
                .fetch_one(&self.pool)
                .await?;
        let bookings = rows.into_iter().map(|row| HistoryBooking {
            id: BookingId(row.id),
            event: EventId(row.event_id),
            event_name: row.name,
            starts_at: row.starts_at,
            status: row.status,
            created_at: row.created_at,
            closed_at: row.closed_at,
        });
        Ok((bookings.collect(), total))
    }

    /// Orders of somebody with what is in them, newest first, and how many there are.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn history_orders(
        &self,
        user: UserId,
        (offset, limit): (i64, i64),
    ) -> Result<(Vec<HistoryOrder>, i64), StoreError> {
        let rows = sqlx::query!(
            "select id, status, currency, total_minor, created_at, paid_at from orders
             where user_id = $1 order by created_at desc, id desc offset $2 limit $3",
            user.0,
            offset,
            limit
        )
        .fetch_all(&self.pool)
        .await?;
        let total = sqlx::query_scalar!(r#"select count(*) as "n!" from orders where user_id = $1"#, user.0)
            .fetch_one(&self.pool)
            .await?;
        let mut orders: Vec<HistoryOrder> = rows
            .into_iter()
            .map(|row| HistoryOrder {
                id: OrderId(row.id),
                status: row.status,
                total: Money { amount: row.total_minor, currency: row.currency },
                created_at: row.created_at,
                paid_at: row.paid_at,
                items: Vec::new(),
            })
            .collect();
        self.fill_orders(&mut orders).await?;
        Ok((orders, total))
    }

    async fn fill_orders(&self, orders: &mut [HistoryOrder]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.id.0).collect();
        let items = sqlx::query!(
            r#"select i.id, i.order_id, i.booking_id, i.event_id, i.place, i.tier_name, i.price_minor, i.status,
                   t.id as "ticket_id?"
               from order_items i left join tickets t on t.order_item_id = i.id
               where i.order_id = any($1) order by i.id"#,
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        for row in items {
            let Some(order) = orders.iter_mut().find(|order| order.id.0 == row.order_id) else { continue };
            order.items.push(HistoryOrderItem {
                id: OrderItemId(row.id),
                booking: BookingId(row.booking_id),
                event: EventId(row.event_id),
                place: row.place,
                tier: row.tier_name,
                price: Money { amount: row.price_minor, currency: order.total.currency.clone() },
                status: row.status,
                ticket: row.ticket_id.map(TicketId),
            });
        }
        Ok(())
    }

    /// Tickets of somebody, newest first, all or those with one status, and how many there are.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn history_tickets(
        &self,
        user: UserId,
        status: Option<&str>,
        (offset, limit): (i64, i64),
    ) -> Result<(Vec<HistoryTicket>, i64), StoreError> {
        let rows = sqlx::query_file!("src/store/sql/history_tickets.sql", user.0, status, offset, limit)
            .fetch_all(&self.pool)
            .await?;
        let total = rows.first().map_or(0, |row| row.total);
        let tickets = rows.into_iter().map(|row| HistoryTicket {
            id: TicketId(row.id),
            number: row.number,
            status: row.status,
            event: EventId(row.event_id),
            event_name: row.name,
            starts_at: row.starts_at,
            place: row.place,
            tier: row.tier_name,
            price: Money { amount: row.price_minor, currency: row.currency },
            order: OrderId(row.order_id),
            issued_at: row.issued_at,
            used_at: row.used_at,
        });
        Ok((tickets.collect(), total))
    }
}
