//! Issuing the tickets of an order that was paid.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{EventId, OrderId, TicketId, UserId};
use crate::messages::{self, Message, Outgoing, Recipient};
use crate::store::claims::{Fact, append_outbox};
use crate::store::{Store, StoreError};
use crate::tickets::TicketNumber;

/// What became of an order whose tickets were to be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// So many tickets are new; 0 when all were there already, or nothing of the order is kept.
    New(usize),
    /// It was never paid.
    NotPaid,
    /// No such order.
    NoSuchOrder,
}

/// What the fact says: the new tickets of one order at one event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TicketsIssued<'a> {
    order_id: OrderId,
    user_id: UserId,
    ticket_ids: &'a [TicketId],
}

impl Store {
    /// Issues a ticket for each place of an order that is sold and has none, makes the order fulfilled, and writes the
    /// message and the facts that follow, in one transaction. Safe to do twice: what is there already is left alone,
    /// and told of no second time.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn issue_tickets(&self, order: OrderId) -> Result<Issued, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query!("select user_id, status from orders where id = $1 for update", order.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(Issued::NoSuchOrder) };
        match row.status.as_str() {
            "paid" | "fulfilled" | "partially_refunded" => {}
            "refunded" => return Ok(Issued::New(0)),
            _ => return Ok(Issued::NotPaid),
        }
        let user = UserId(row.user_id);
        let new = insert_tickets(&mut tx, order, user).await?;
        let is_fulfilled = fulfil(&mut tx, order).await?;
        let count = new.values().map(Vec::len).sum();
        if is_fulfilled || count > 0 {
            let to = Recipient::User { id: user };
            messages::send(&mut tx, &Outgoing { to, message: Message::OrderPaid { order } }).await?;
        }
        for (event, ids) in new {
            let told = TicketsIssued { order_id: order, user_id: user, ticket_ids: &ids };
            append_outbox(&mut tx, event, &[Fact::new("ticket.issued", &told)]).await?;
        }
        tx.commit().await?;
        Ok(Issued::New(count))
    }
}

/// The tickets that were missing, by event. The order is locked, so nothing of it is given back meanwhile.
async fn insert_tickets(
    connection: &mut PgConnection,
    order: OrderId,
    user: UserId,
) -> Result<BTreeMap<EventId, Vec<TicketId>>, StoreError> {
    let items = sqlx::query!(
        "select i.id, i.event_id from order_items i
         where i.order_id = $1 and i.status = 'sold'
             and not exists (select 1 from tickets t where t.order_item_id = i.id)
         order by i.event_id, i.id",
        order.0
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = items.iter().map(|_| TicketId::new().0).collect();
    let numbers: Vec<String> = items.iter().map(|_| TicketNumber::random().to_string()).collect();
    let item_ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    let event_ids: Vec<i64> = items.iter().map(|item| item.event_id).collect();
    let rows = sqlx::query!(
        "insert into tickets (id, order_item_id, number, event_id, user_id)
         select new.id, new.item, new.number, new.event, $5
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[]) as new (id, item, number, event)
         on conflict (order_item_id) do nothing
         returning id, event_id",
        &ids,
        &item_ids,
        &numbers,
        &event_ids,
        user.0
    )
    .fetch_all(connection)
    .await?;
    let mut new: BTreeMap<EventId, Vec<TicketId>> = BTreeMap::new();
    for row in rows {
        new.entry(EventId(row.event_id)).or_default().push(TicketId(row.id));
    }
    Ok(new)
}

/// Whether the order became fulfilled just now. One of which nothing is kept does not: its money goes back.
async fn fulfil(connection: &mut PgConnection, order: OrderId) -> Result<bool, StoreError> {
    let changed = sqlx::query!(
        "update orders set status = 'fulfilled'
         where id = $1 and status = 'paid'
             and exists (select 1 from order_items i where i.order_id = $1 and i.status = 'sold')",
        order.0
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}
