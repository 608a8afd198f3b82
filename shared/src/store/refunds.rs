//! Money on its way back.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::claims::{Why, record_freed};
use super::orders::{
    Item, LockedOrder, NewFacts, append_order_facts, cancel_tickets, close_emptied, free_items,
    lock_bookings, lock_order, mark_items, read_items,
};
use super::{Freed, NewNamedJob, Store, StoreError, insert_job};
use crate::domain::{EventId, Money, OrderId, OrderItemId, PaymentId, RefundId, UserId};
use crate::messages::{self, Message, Outgoing, Recipient};

/// The queue of these jobs.
pub const REFUNDS: &str = "refunds";
/// Its lanes; the first one is for whole events, so that they hold up nobody else.
const LANES: u128 = 8;

/// A job of that queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum RefundJob {
    /// The provider is to give this one back.
    Send {
        /// Which.
        refund: RefundId,
    },
    /// What was paid for one place goes back.
    Item {
        /// Why, such as `place_removed`.
        reason: String,
        /// Which.
        order_item: OrderItemId,
    },
    /// What was paid for an event goes back, some orders at a time.
    Event {
        /// Why; `event_cancelled` when it is not said.
        #[serde(default = "event_cancelled")]
        reason: String,
        /// Which.
        event: EventId,
        /// The last order that was dealt with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<OrderId>,
        /// Who asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserId>,
        /// The money of an order before this page was not here yet: the last page has them all looked at again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_unready: bool,
    },
}

fn event_cancelled() -> String {
    "event_cancelled".to_owned()
}

/// A refund to write.
#[derive(Debug)]
pub(super) struct NewRefundRow<'a> {
    pub(super) order: OrderId,
    pub(super) payment: PaymentId,
    pub(super) amount: Money,
    pub(super) reason: &'a str,
    pub(super) by: Option<UserId>,
}

/// Writes a refund and the job that sends it.
pub(super) async fn insert_refund(
    connection: &mut PgConnection,
    row: &NewRefundRow<'_>,
) -> Result<RefundId, StoreError> {
    let id = RefundId::new();
    sqlx::query!(
        "insert into refunds (id, order_id, payment_id, amount_minor, currency, reason, requested_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id.0,
        row.order.0,
        row.payment.0,
        row.amount.amount,
        row.amount.currency,
        row.reason,
        row.by.map(|by| by.0)
    )
    .execute(&mut *connection)
    .await?;
    insert_send(connection, id).await?;
    Ok(id)
}

async fn insert_send(connection: &mut PgConnection, refund: RefundId) -> Result<(), StoreError> {
    let lane = u16::try_from(1 + refund.0.as_u128() % (LANES - 1)).unwrap_or(1);
    let payload = RefundJob::Send { refund };
    insert_job(connection, &NewNamedJob { queue: REFUNDS, lane, payload, run_at: None }).await?;
    Ok(())
}

/// What is asked to go back.
#[derive(Debug, Clone, Copy)]
pub struct RefundRequest<'a> {
    /// Of which order.
    pub order: OrderId,
    /// Only if it is theirs, and within the rules of its events.
    pub only_of: Option<UserId>,
    /// Which items; `None` for all that are left.
    pub items: Option<&'a [OrderItemId]>,
    /// Only those of this event.
    pub event: Option<EventId>,
    /// Why.
    pub reason: &'a str,
    /// Who asks.
    pub by: Option<UserId>,
}

/// What became of it.
#[derive(Debug)]
pub enum Refunding {
    /// Money is on its way back; what came free.
    Begun(RefundId, Vec<Freed>),
    /// It had cost nothing, so it is done; what came free.
    Free(Vec<Freed>),
    /// There is nothing left of it to give back.
    Nothing,
    /// The money is not here yet.
    NotPaid(String),
    /// The rules of an event do not permit it any more.
    TooLate,
    /// A ticket has been used.
    Used,
    /// There is no such order of theirs, or no such item in it.
    NotFound,
}

impl Store {
    /// Begins to give money back: the tickets are revoked and the places free at once, the money follows by a job.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_refund(&self, request: &RefundRequest<'_>) -> Result<Refunding, StoreError> {
        let mut tx = self.begin().await?;
        let owned = |order: &LockedOrder| request.only_of.is_none_or(|user| order.user == user);
        let Some(order) = lock_order(&mut tx, request.order).await?.filter(owned) else {
            return Ok(Refunding::NotFound);
        };
        let all = read_items(&mut tx, order.id).await?;
        let Some(items) = chosen(request, &all) else { return Ok(Refunding::NotFound) };
        if !["paid", "fulfilled", "partially_refunded", "refunded"].contains(&order.status.as_str()) {
            return Ok(Refunding::NotPaid(order.status));
        }
        if items.is_empty() {
            return Ok(Refunding::Nothing);
        }
        let bookings = lock_bookings(&mut tx, &all).await?;
        let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
        if request.only_of.is_some()
            && let Some(refused) = check_rules(&mut tx, &ids).await?
        {
            return Ok(refused);
        }
        let price: i64 = items.iter().map(|item| item.price_minor).sum();
        let payment = captured_payment(&mut tx, order.id).await?;
        if price > 0 && payment.is_none() {
            return Ok(Refunding::NotPaid("authorized".to_owned()));
        }
        let freed = free_items(&mut tx, &ids).await?;
        cancel_tickets(&mut tx, &ids).await?;
        close_emptied(&mut tx, &bookings).await?;
        let due = payment.as_ref().map_or(0, |payment| due(&payment.kept, price, &all, &ids));
        let begun = match payment {
            Some(Kept { payment, kept }) if due > 0 => {
                let amount = Money { amount: due, ..kept };
                let (reason, by) = (request.reason, request.by);
                let row = NewRefundRow { order: order.id, payment, amount, reason, by };
                let refund = insert_refund(&mut tx, &row).await?;
                note_items(&mut tx, refund, &ids).await?;
                Some(refund)
            }
            Some(_) | None => {
                mark_items(&mut tx, &ids, "refunded").await?;
                let facts = NewFacts {
                    items: Some(&ids),
                    reason: Some(request.reason),
                    ..NewFacts::of("order.refunded")
                };
                append_order_facts(&mut tx, order.id, order.user, &facts).await?;
                None
            }
        };
        settle_order(&mut tx, order.id).await?;
        record_freed(&mut tx, &freed, &[], Why::Released).await?;
        tx.commit().await?;
        Ok(match begun {
            Some(refund) => Refunding::Begun(refund, freed),
            None => Refunding::Free(freed),
        })
    }
}

/// The items that are meant and can still go back; `None` when one is not of this order.
fn chosen(request: &RefundRequest<'_>, all: &[Item]) -> Option<Vec<Item>> {
    let named = request.items.unwrap_or_default();
    if named.iter().any(|id| !all.iter().any(|item| item.id == id.0)) {
        return None;
    }
    let is_meant = |item: &&Item| {
        item.status == "sold"
            && (request.items.is_none() || named.iter().any(|id| id.0 == item.id))
            && request.event.is_none_or(|event| item.event == event)
    };
    Some(all.iter().filter(is_meant).cloned().collect())
}

/// What a shopper may give back by themselves.
async fn check_rules(connection: &mut PgConnection, items: &[Uuid]) -> Result<Option<Refunding>, StoreError> {
    // Locked, so that nobody is let in on a ticket while it is given back.
    let tickets = sqlx::query_scalar!(
        "select status from tickets where order_item_id = any($1) order by id for update",
        items
    )
    .fetch_all(&mut *connection)
    .await?;
    if tickets.iter().any(|status| status == "used") {
        return Ok(Some(Refunding::Used));
    }
    let is_late = sqlx::query_scalar!(
        r#"select coalesce(bool_or(e.status <> 'cancelled' and (e.refund_until_hours is null
               or e.starts_at - make_interval(hours => e.refund_until_hours) <= clock_timestamp())), false) as "is_late!"
           from order_items i join events e on e.id = i.event_id
           where i.id = any($1)"#,
        items
    )
    .fetch_one(connection)
    .await?;
    Ok(is_late.then_some(Refunding::TooLate))
}

/// A payment that was taken, and what of it has not gone back and is not about to.
struct Kept {
    payment: PaymentId,
    kept: Money,
}

async fn captured_payment(connection: &mut PgConnection, order: OrderId) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query!(
        r#"select p.id, p.currency, p.amount_minor - (
               select coalesce(sum(r.amount_minor), 0)::bigint from refunds r where r.payment_id = p.id) as "kept!"
           from payments p where p.order_id = $1 and p.status = 'captured' limit 1"#,
        order.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Kept {
        payment: PaymentId(row.id),
        kept: Money { amount: row.kept, currency: row.currency },
    }))
}

/// What goes back for these items: their price, less what went back at the provider's before. What is kept then is the
/// price of what is left.
fn due(kept: &Money, price: i64, all: &[Item], items: &[Uuid]) -> i64 {
    let is_left = |item: &&Item| item.status == "sold" && !items.contains(&item.id);
    let left: i64 = all.iter().filter(is_left).map(|item| item.price_minor).sum();
    (kept.amount - left).clamp(0, price)
}

async fn note_items(
    connection: &mut PgConnection,
    refund: RefundId,
    items: &[Uuid],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into refund_items (order_item_id, refund_id) select id, $1 from unnest($2::uuid[]) as i (id)",
        refund.0,
        items
    )
    .execute(&mut *connection)
    .await?;
    mark_items(connection, items, "refunding").await
}

/// An order is refunded when nothing of it is left, and partially when something is.
async fn settle_order(connection: &mut PgConnection, order: OrderId) -> Result<(), StoreError> {
    sqlx::query!(
        "update orders o
         set status = case when left_over.count = 0 then 'refunded' else 'partially_refunded' end,
             closed_at = case when left_over.count = 0 then clock_timestamp() end
         from (
             select count(*) filter (where status <> 'refunded') as count,
                 count(*) filter (where status = 'refunded') as gone
             from order_items where order_id = $1
         ) left_over
         where o.id = $1 and left_over.gone > 0
             and o.status in ('paid', 'fulfilled', 'partially_refunded')",
        order.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A refund, with what its sending needs.
#[derive(Debug, Clone)]
pub struct RefundRecord {
    /// Its id.
    pub id: RefundId,
    /// Of which order.
    pub order: OrderId,
    /// Of which payment,
    pub payment: PaymentId,
    /// with which provider,
    pub provider: String,
    /// under which name there.
    pub reference: Option<String>,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// `pending`, `completed`, `failed`.
    pub status: String,
    /// How often the provider was asked.
    pub attempts: i32,
    /// How often it has refused for good, over all that was tried.
    pub refusals: u32,
    /// What it said the last time.
    pub error: Option<String>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Why a refund was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// It is tried again by itself.
    Now,
    /// It waits for a person; what became of it is not known, so it keeps its key.
    Unknown,
    /// It waits for a person; the provider has refused it, so it has another key from now on.
    Refused,
}

impl Store {
    /// Refunds in one state, or one of them, newest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn refunds(
        &self,
        status: Option<&str>,
        only: Option<RefundId>,
        at_most: i64,
    ) -> Result<Vec<RefundRecord>, StoreError> {
        let rows = sqlx::query!(
            "select r.id, r.order_id, r.payment_id, p.provider, p.provider_ref, r.amount_minor, r.currency, r.reason,
                 r.status, r.attempts, r.refusals, r.error, r.created_at, r.finished_at
             from refunds r join payments p on p.id = r.payment_id
             where ($1::text is null or r.status = $1) and ($2::uuid is null or r.id = $2)
             order by r.created_at desc, r.id desc limit $3",
            status,
            only.map(|only| only.0),
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        let refunds = rows.into_iter().map(|row| RefundRecord {
            id: RefundId(row.id),
            order: OrderId(row.order_id),
            payment: PaymentId(row.payment_id),
            provider: row.provider,
            reference: row.provider_ref,
            amount: Money { amount: row.amount_minor, currency: row.currency },
            reason: row.reason,
            status: row.status,
            attempts: row.attempts,
            refusals: u32::try_from(row.refusals).unwrap_or(0),
            error: row.error,
            created_at: row.created_at,
            finished_at: row.finished_at,
        });
        Ok(refunds.collect())
    }

    /// Counts another attempt to send a refund, before it is made.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn begin_sending(&self, refund: RefundId) -> Result<Option<RefundRecord>, StoreError> {
        let counted = sqlx::query!(
            "update refunds set attempts = attempts + 1 where id = $1 and status = 'pending' returning id",
            refund.0
        )
        .fetch_optional(&self.pool)
        .await?;
        if counted.is_none() {
            return Ok(None);
        }
        Ok(self.refunds(None, Some(refund), 1).await?.pop())
    }

    /// The provider has given a refund back, or has promised to.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn complete_refund(&self, refund: RefundId, reference: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let Some(order) = self.lock_order_of(&mut tx, refund).await? else { return Ok(()) };
        let done = sqlx::query!(
            "update refunds
             set status = 'completed', provider_ref = $2, error = null, finished_at = clock_timestamp()
             where id = $1 and status <> 'completed' and error is distinct from 'charged_back'
             returning amount_minor, currency, reason,
                 (select p.failure from payments p where p.id = refunds.payment_id) as failure",
            refund.0,
            reference
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(done) = done else { return Ok(()) };
        let items: Vec<Uuid> = sqlx::query_scalar!(
            "select order_item_id from refund_items where refund_id = $1 order by order_item_id",
            refund.0
        )
        .fetch_all(&mut *tx)
        .await?;
        if !items.is_empty() {
            mark_items(&mut tx, &items, "refunded").await?;
            settle_order(&mut tx, order.id).await?;
        }
        let amount = Money { amount: done.amount_minor, currency: done.currency };
        let outgoing = Outgoing {
            to: Recipient::User { id: order.user },
            message: Message::Refunded { order: order.id, amount },
        };
        messages::send(&mut tx, &outgoing).await?;
        // Of what the payer's bank took first it was told then that it is lost.
        if !items.is_empty() && done.failure.as_deref() != Some("charged_back") {
            let facts = NewFacts {
                items: Some(&items),
                reason: Some(&done.reason),
                ..NewFacts::of("order.refunded")
            };
            append_order_facts(&mut tx, order.id, order.user, &facts).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn lock_order_of(
        &self,
        connection: &mut PgConnection,
        refund: RefundId,
    ) -> Result<Option<LockedOrder>, StoreError> {
        let order = sqlx::query_scalar!("select order_id from refunds where id = $1", refund.0)
            .fetch_optional(&mut *connection)
            .await?;
        match order {
            Some(order) => lock_order(connection, OrderId(order)).await,
            None => Ok(None),
        }
    }

    /// Notes why a refund was not sent. One that waits for a person is told to the admins.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn note_refund_failure(
        &self,
        refund: RefundId,
        why: &str,
        unsent: Unsendable,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let is_over = unsent != Unsendable::Now;
        let noted = sqlx::query!(
            "update refunds
             set error = left($2, 500), status = case when $3 then 'failed' else status end,
                 refusals = refusals + case when $4 then 1 else 0 end,
                 finished_at = case when $3 then clock_timestamp() end
             where id = $1 and status = 'pending' returning id",
            refund.0,
            why,
            is_over,
            unsent == Unsendable::Refused
        )
        .fetch_optional(&mut *tx)
        .await?;
        if noted.is_some() && is_over {
            let outgoing = Outgoing { to: Recipient::Admins, message: Message::RefundFailed { refund } };
            messages::send(&mut tx, &outgoing).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The payer's bank has given a payment back to the shop: a refund that was closed with it may be sent.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn reopen_refund(&self, refund: RefundId) -> Result<(), StoreError> {
        sqlx::query!(
            "update refunds set error = null where id = $1 and status = 'failed' and error = 'charged_back'",
            refund.0
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Sends a refund once more that has failed for good; false when it has not. What the payer's bank took is not sent.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn retry_refund(&self, refund: RefundId) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let retried = sqlx::query!(
            "update refunds set status = 'pending', attempts = 0, finished_at = null
             where id = $1 and status = 'failed' and error is distinct from 'charged_back' returning id",
            refund.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        if retried.is_none() {
            return Ok(false);
        }
        insert_send(&mut tx, refund).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Writes a job about a whole event; `run_at`: not before.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn add_refund_job(
        &self,
        job: &RefundJob,
        run_at: Option<DateTime<Utc>>,
    ) -> Result<Uuid, StoreError> {
        self.add_job(&NewNamedJob { queue: REFUNDS, lane: 0, payload: job, run_at }).await
    }

    /// Orders with something sold at an event, after one, so many at most.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn sold_orders(
        &self,
        event: EventId,
        after: Option<OrderId>,
        at_most: i64,
    ) -> Result<Vec<OrderId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "select distinct order_id from order_items
             where event_id = $1 and status = 'sold' and ($2::uuid is null or order_id > $2)
             order by order_id limit $3",
            event.0,
            after.map(|after| after.0),
            at_most
        );
        Ok(ids.fetch_all(&self.pool).await?.into_iter().map(OrderId).collect())
    }

    /// The order and the status of an item.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn item_status(&self, item: OrderItemId) -> Result<Option<(OrderId, String)>, StoreError> {
        let row = sqlx::query!("select order_id, status from order_items where id = $1", item.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| (OrderId(row.order_id), row.status)))
    }
}
