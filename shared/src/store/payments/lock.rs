//! The attempt that a provider speaks of, under its order's lock.

use sqlx::PgConnection;

use super::super::StoreError;
use super::super::orders::LockedOrder;
use super::reconcile::NewDifference;
use super::settle::Report;
use crate::domain::{Money, OrderId, PaymentId};
use crate::pay::PaymentState;

/// An attempt under its order's lock.
pub(super) struct Locked<'a> {
    pub(super) id: PaymentId,
    pub(super) status: String,
    pub(super) amount: Money,
    pub(super) order: LockedOrder,
    pub(super) state: &'a PaymentState,
    pub(super) provider: &'a str,
    /// The provider's name for it, as it is kept here.
    pub(super) reference: String,
    /// Why it came to nothing.
    pub(super) failure: Option<String>,
    /// A webhook says so, which may be an old one; else the provider was just asked.
    pub(super) is_told: bool,
}

impl Locked<'_> {
    /// This is the attempt that the order was paid with.
    pub(super) fn has_paid(&self) -> bool {
        ["authorized", "captured"].contains(&self.status.as_str())
    }

    /// Something in which it is not the same at the provider's as here, and our side was not brought to theirs.
    pub(super) fn difference(&self, kind: &'static str, ours: String, theirs: String) -> NewDifference<'_> {
        NewDifference {
            provider: self.provider,
            reference: &self.reference,
            payment: Some(self.id),
            kind,
            ours,
            theirs,
            repaired: false,
        }
    }
}

/// Marks a webhook; false when it was worked off before.
pub(super) async fn note_webhook(
    connection: &mut PgConnection,
    report: &Report<'_>,
) -> Result<bool, StoreError> {
    let Some(webhook) = report.webhook else { return Ok(true) };
    let marked = sqlx::query!(
        "insert into payment_webhooks (provider, id) values ($1, $2) on conflict do nothing",
        report.provider,
        webhook
    )
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() == 1)
}

/// The attempt that is meant, its order, and that order's status.
pub(super) async fn find(
    connection: &mut PgConnection,
    report: &Report<'_>,
) -> Result<Option<(PaymentId, OrderId, String)>, StoreError> {
    let by_reference = sqlx::query_scalar!(
        "select id from payments where provider = $1 and provider_ref = $2",
        report.provider,
        report.state.reference
    )
    .fetch_optional(&mut *connection)
    .await?;
    // Told before we have noted the provider's own name for it.
    let Some(id) = by_reference.or(report.state.payment.map(|payment| payment.0)) else { return Ok(None) };
    let row = sqlx::query!(
        "select p.id, p.order_id, o.status from payments p join orders o on o.id = p.order_id
         where p.id = $1 and p.provider = $2",
        id,
        report.provider
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (PaymentId(row.id), OrderId(row.order_id), row.status)))
}

pub(super) async fn lock_lanes(connection: &mut PgConnection, order: OrderId) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into lanes (event_id)
         select distinct event_id from order_items where order_id = $1 order by event_id on conflict do nothing",
        order.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "select event_id from lanes
         where event_id in (select event_id from order_items where order_id = $1) order by event_id for update",
        order.0
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

pub(super) async fn lock_payment<'a>(
    connection: &mut PgConnection,
    id: PaymentId,
    order: LockedOrder,
    report: &Report<'a>,
) -> Result<Locked<'a>, StoreError> {
    let row = sqlx::query!(
        r#"update payments set provider_ref = coalesce(provider_ref, $2) where id = $1
           returning provider_ref as "reference!", status, amount_minor, currency, failure"#,
        id.0,
        report.state.reference
    )
    .fetch_one(connection)
    .await?;
    let amount = Money { amount: row.amount_minor, currency: row.currency };
    Ok(Locked {
        id,
        status: row.status,
        amount,
        order,
        state: report.state,
        provider: report.provider,
        reference: row.reference,
        failure: row.failure,
        is_told: report.webhook.is_some(),
    })
}
