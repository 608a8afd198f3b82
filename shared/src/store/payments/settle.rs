//! What a provider says becomes what is true here: one function for webhooks, polls, returning shoppers and comparisons.
//!
//! Under the order's lock, by compare-and-set: whatever comes twice, late or out of order finds what is there already.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::orders::{
    Item, NewFacts, append_order_facts, cancel_order_rows, complete_order, lock_order, read_items, reseat,
    sell,
};
use super::super::{Freed, Store, StoreError};
use super::attempts::close_payments;
use super::lock::{Locked, find, lock_lanes, lock_payment, note_webhook};
use super::outside::look_again;
use super::reverse::{charge_back, give_back};
use crate::domain::{OrderId, PaymentId};
use crate::pay::{PaymentState, PaymentStatus};

/// Times that a settlement begins anew because the order has changed before it was locked.
const ROUNDS: u32 = 5;

/// What a provider says.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Which provider.
    pub provider: &'a str,
    /// What it says.
    pub state: &'a PaymentState,
    /// The webhook that brought it; worked off once.
    pub webhook: Option<&'a str>,
}

/// What followed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// No such payment is known here.
    Unknown,
    /// Nothing that was not so before.
    Nothing,
    /// The attempt is closed; another one may be made.
    Closed,
    /// The places are sold; the money waits to be taken.
    Authorized,
    /// The money is there and the order is paid.
    Paid,
    /// The order had lost its places and has them again, paid.
    Reseated,
    /// The money goes back: the order cannot have it.
    Returned,
    /// What was paid is not what was asked for: the money goes back, and somebody should look at it.
    Mismatch,
    /// The order was undone, as the money could not be taken.
    Undone,
    /// The payer's bank took the money back; the tickets are revoked.
    ChargedBack,
    /// The payer's bank took a part of the money back; a person decides, and finds it among the differences.
    Disputed,
    /// The payer's bank gave the money back to the shop, whose tickets were revoked: a person decides.
    Won,
    /// All of it went back at the provider's and not by us; the tickets are revoked.
    ReturnedThere,
    /// A part of it went back at the provider's and not by us; a person decides.
    PartlyReturnedThere,
}

/// What followed from it, and what is left to be done.
#[derive(Debug)]
pub struct Settled {
    /// What followed.
    pub effect: Effect,
    /// For which order.
    pub order: Option<OrderId>,
    /// For which attempt.
    pub payment: Option<PaymentId>,
    /// Places that are sold now, to tell others.
    pub sold: Vec<Freed>,
    /// Places that came free, to tell others.
    pub freed: Vec<Freed>,
}

impl Settled {
    pub(super) fn of(effect: Effect) -> Self {
        Self { effect, order: None, payment: None, sold: Vec::new(), freed: Vec::new() }
    }
}

impl Store {
    /// Makes what a provider says true here, in one transaction with the mark of the webhook that said it.
    ///
    /// # Errors
    /// PostgreSQL is away; nothing is changed then, nor marked.
    pub async fn settle_payment(&self, report: &Report<'_>) -> Result<Settled, StoreError> {
        for _ in 0..ROUNDS {
            if let Some(settled) = self.try_settle(report).await? {
                return Ok(settled);
            }
        }
        Err(StoreError::Row("an order that never keeps still"))
    }

    /// `None` when the order has changed its state before it was locked.
    async fn try_settle(&self, report: &Report<'_>) -> Result<Option<Settled>, StoreError> {
        let mut tx = self.begin().await?;
        if !note_webhook(&mut tx, report).await? {
            return Ok(Some(Settled::of(Effect::Nothing)));
        }
        let Some((id, order, seen)) = find(&mut tx, report).await? else {
            return Ok(Some(Settled::of(Effect::Unknown)));
        };
        // Before the order, as everywhere: no batch may take a place that is looked at.
        let is_late = seen == "expired";
        if is_late {
            lock_lanes(&mut tx, order).await?;
        }
        let order = lock_order(&mut tx, order).await?.ok_or(StoreError::Row("an order just read"))?;
        if order.status == "expired" && !is_late {
            return Ok(None);
        }
        let locked = lock_payment(&mut tx, id, order, report).await?;
        let mut settled = match report.state.status {
            PaymentStatus::Open => Settled::of(Effect::Nothing),
            PaymentStatus::Authorized | PaymentStatus::Captured => succeed(&mut tx, &locked).await?,
            PaymentStatus::Declined => close(&mut tx, &locked, "declined").await?,
            PaymentStatus::Expired => close(&mut tx, &locked, "expired").await?,
            PaymentStatus::ChargedBack => charge_back(&mut tx, &locked).await?,
        };
        tx.commit().await?;
        settled.order = Some(locked.order.id);
        settled.payment = Some(id);
        Ok(Some(settled))
    }
}

/// The attempt came to nothing, or the money that was set aside cannot be taken.
async fn close(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    status: &str,
) -> Result<Settled, StoreError> {
    match payment.status.as_str() {
        "creating" | "open" => {}
        "authorized" => return undo(connection, payment, status, false).await,
        _ => {
            mark(connection, payment.id, &payment.status, None).await?;
            return Ok(Settled::of(Effect::Nothing));
        }
    }
    mark(connection, payment.id, status, None).await?;
    let facts =
        NewFacts { payment: Some(payment.id), reason: Some(status), ..NewFacts::of("payment.failed") };
    append_order_facts(connection, payment.order.id, payment.order.user, &facts).await?;
    Ok(Settled::of(Effect::Closed))
}

/// Undoes an order whose money was set aside and could not be taken; `is_set_aside`: it still is, and is released.
pub(super) async fn undo(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    reason: &str,
    is_set_aside: bool,
) -> Result<Settled, StoreError> {
    if is_set_aside {
        give_back(connection, payment, reason).await?;
    } else {
        mark(connection, payment.id, "reversed", Some(reason)).await?;
    }
    let freed = cancel_order_rows(connection, &payment.order, reason).await?;
    let facts =
        NewFacts { payment: Some(payment.id), reason: Some(reason), ..NewFacts::of("payment.failed") };
    append_order_facts(connection, payment.order.id, payment.order.user, &facts).await?;
    Ok(Settled { freed, ..Settled::of(Effect::Undone) })
}

/// Money was set aside or taken.
async fn succeed(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<Settled, StoreError> {
    if ["captured", "reversed"].contains(&payment.status.as_str()) {
        return look_again(connection, payment).await;
    }
    let is_taken = payment.state.status == PaymentStatus::Captured;
    if payment.state.amount != payment.amount {
        return mismatch(connection, payment).await;
    }
    if payment.has_paid() {
        if !is_taken {
            return Ok(Settled::of(Effect::Authorized));
        }
        return finish(connection, payment, Vec::new(), Effect::Paid).await;
    }
    let items = read_items(connection, payment.order.id).await?;
    let sold = match payment.order.status.as_str() {
        "awaiting_payment" | "expiring" | "expired" => sell_or_reseat(connection, payment, &items).await?,
        // Paid by another attempt, or given up.
        _ => {
            give_back(connection, payment, "order_closed").await?;
            return Ok(Settled::of(Effect::Returned));
        }
    };
    let Some((sold, effect)) = sold else { return refuse(connection, payment).await };
    close_payments(connection, payment.order.id, Some(payment.id)).await?;
    if is_taken {
        return finish(connection, payment, sold, effect).await;
    }
    mark(connection, payment.id, "authorized", None).await?;
    Ok(Settled { sold, ..Settled::of(Effect::Authorized) })
}

/// `None` when the order can't have its places.
async fn sell_or_reseat(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    items: &[Item],
) -> Result<Option<(Vec<Freed>, Effect)>, StoreError> {
    let events: Vec<i64> = items.iter().map(|item| item.event.0).collect();
    // Locked, so that an event is cancelled either before, or after this is sold and can be given back.
    let statuses =
        sqlx::query_scalar!("select status from events where id = any($1) order by id for share", &events)
            .fetch_all(&mut *connection)
            .await?;
    if statuses.iter().any(|status| status == "cancelled") {
        return Ok(None);
    }
    let order = &payment.order;
    if order.status == "expired" {
        let sold = reseat(connection, order.id, order.user, items).await?;
        return Ok(sold.map(|sold| (sold, Effect::Reseated)));
    }
    let sold = sell(connection, order.id, order.user, items).await?;
    Ok(sold.map(|sold| (sold, Effect::Paid)))
}

/// The order can't have its places: the money goes back, and what it still holds is free.
async fn refuse(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<Settled, StoreError> {
    close_payments(connection, payment.order.id, Some(payment.id)).await?;
    give_back(connection, payment, "places_gone").await?;
    let freed = if payment.order.status == "expired" {
        Vec::new()
    } else {
        cancel_order_rows(connection, &payment.order, "places_gone").await?
    };
    Ok(Settled { freed, ..Settled::of(Effect::Returned) })
}

async fn mismatch(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<Settled, StoreError> {
    // The order was sold on the promise of another amount.
    let freed = if payment.has_paid() {
        cancel_order_rows(connection, &payment.order, "amount_mismatch").await?
    } else {
        Vec::new()
    };
    give_back(connection, payment, "amount_mismatch").await?;
    Ok(Settled { freed, ..Settled::of(Effect::Mismatch) })
}

/// The money is there.
async fn finish(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    sold: Vec<Freed>,
    effect: Effect,
) -> Result<Settled, StoreError> {
    sqlx::query!(
        "update payments set status = 'captured', captured_at = clock_timestamp(), closed_at = null, poll_at = null
         where id = $1",
        payment.id.0
    )
    .execute(&mut *connection)
    .await?;
    complete_order(connection, payment.order.id, payment.order.user).await?;
    Ok(Settled { sold, ..Settled::of(effect) })
}

/// Gives an attempt this status. Money that is set aside is looked after until it is taken; nothing else is asked about.
pub(super) async fn mark(
    connection: &mut PgConnection,
    payment: PaymentId,
    status: &str,
    failure: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update payments
         set status = $2, failure = coalesce($3, failure), polls = 0,
             closed_at = case when $2 = 'authorized' then null else coalesce(closed_at, clock_timestamp()) end,
             poll_at = case when $2 = 'authorized' then clock_timestamp() + interval '5 seconds' end
         where id = $1",
        payment.0 as Uuid,
        status,
        failure
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// The provider will not take money that was set aside: the order is undone, and the money released.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn undo_payment(&self, report: &Report<'_>) -> Result<Settled, StoreError> {
        let mut tx = self.begin().await?;
        let Some((id, order, _)) = find(&mut tx, report).await? else {
            return Ok(Settled::of(Effect::Unknown));
        };
        let order = lock_order(&mut tx, order).await?.ok_or(StoreError::Row("an order just read"))?;
        let locked = lock_payment(&mut tx, id, order, report).await?;
        if locked.status != "authorized" {
            return Ok(Settled::of(Effect::Nothing));
        }
        let mut settled = undo(&mut tx, &locked, "capture_refused", true).await?;
        tx.commit().await?;
        settled.order = Some(locked.order.id);
        settled.payment = Some(id);
        Ok(settled)
    }
}
