//! Money that is not kept: what goes back as a whole, and what the payer's bank takes.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::claims::{Why, record_freed};
use super::super::orders::{
    NewFacts, append_order_facts, cancel_order_rows, cancel_tickets, close_emptied, free_items,
    lock_bookings, mark_items, read_items,
};
use super::super::refunds::{NewRefundRow, insert_refund};
use super::super::{Freed, StoreError};
use super::lock::Locked;
use super::reconcile::{close_difference, tell_difference};
use super::settle::{Effect, Settled, mark};
use crate::pay::PaymentStatus;

/// Gives all of a payment back, whatever was paid, by a job.
pub(super) async fn give_back(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    reason: &str,
) -> Result<(), StoreError> {
    mark(connection, payment.id, "reversed", Some(reason)).await?;
    if payment.state.status == PaymentStatus::Captured {
        sqlx::query!(
            "update payments set captured_at = coalesce(captured_at, clock_timestamp()) where id = $1",
            payment.id.0
        )
        .execute(&mut *connection)
        .await?;
    }
    if payment.state.amount.amount > 0 {
        let row = NewRefundRow {
            order: payment.order.id,
            payment: payment.id,
            amount: payment.state.amount.clone(),
            reason,
            by: None,
        };
        insert_refund(connection, &row).await?;
    }
    let facts =
        NewFacts { payment: Some(payment.id), reason: Some(reason), ..NewFacts::of("payment.reversed") };
    append_order_facts(connection, payment.order.id, payment.order.user, &facts).await
}

/// The payer's bank has taken the money back: whatever was bought with it is revoked, and nothing is refunded. When it has
/// taken a part, a person decides.
pub(super) async fn charge_back(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
) -> Result<Settled, StoreError> {
    if !is_all_lost(payment) {
        let (taken, paid) = (&payment.state.amount, &payment.amount);
        let theirs =
            format!("charged_back {} {} of {} {}", taken.amount, taken.currency, paid.amount, paid.currency);
        let difference = payment.difference("partly_charged_back", payment.status.clone(), theirs);
        tell_difference(connection, &difference).await?;
        return Ok(Settled::of(Effect::Disputed));
    }
    for kind in ["partly_charged_back", "dispute_won"] {
        close_difference(connection, payment.id, kind).await?;
    }
    if payment.status == "reversed" {
        mark(connection, payment.id, "reversed", Some("charged_back")).await?;
        drop_refunds(connection, payment).await?;
        return Ok(Settled::of(Effect::Nothing));
    }
    let had_paid = payment.status == "captured";
    let is_promised = payment.status == "authorized";
    mark(connection, payment.id, "reversed", Some("charged_back")).await?;
    drop_refunds(connection, payment).await?;
    let (bought, freed) = if is_promised {
        (Vec::new(), cancel_order_rows(connection, &payment.order, "charged_back").await?)
    } else if had_paid {
        revoke(connection, payment).await?
    } else {
        (Vec::new(), Vec::new())
    };
    // Of what was given back before, and of what was never paid, nothing is lost now.
    let facts = NewFacts {
        payment: Some(payment.id),
        reason: Some("charged_back"),
        items: Some(&bought),
        ..NewFacts::of("order.charged_back")
    };
    append_order_facts(connection, payment.order.id, payment.order.user, &facts).await?;
    Ok(Settled { freed, ..Settled::of(Effect::ChargedBack) })
}

/// Whether nothing of what was paid is left, but for what went back before.
fn is_all_lost(payment: &Locked<'_>) -> bool {
    let (taken, paid) = (&payment.state.amount, &payment.amount);
    taken.currency == paid.currency
        && taken.amount.saturating_add(payment.state.refunded_minor) >= paid.amount
}

/// Takes back what was bought and is not given back yet: which items, and what came free.
pub(super) async fn revoke(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
) -> Result<(Vec<Uuid>, Vec<Freed>), StoreError> {
    let order = payment.order.id;
    let items = read_items(connection, order).await?;
    let bookings = lock_bookings(connection, &items).await?;
    let is_bought = |status: &str| status == "sold" || status == "refunding";
    let bought: Vec<Uuid> = items.iter().filter(|item| is_bought(&item.status)).map(|item| item.id).collect();
    let freed = free_items(connection, &bought).await?;
    mark_items(connection, &bought, "refunded").await?;
    cancel_tickets(connection, &bought).await?;
    close_emptied(connection, &bookings).await?;
    sqlx::query!(
        "update orders set status = 'refunded', closed_at = clock_timestamp() where id = $1",
        order.0
    )
    .execute(&mut *connection)
    .await?;
    record_freed(connection, &freed, &[], Why::Released).await?;
    Ok((bought, freed))
}

/// What was on its way back, or waits for a person, is not sent a second time.
async fn drop_refunds(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "update refunds set status = 'failed', error = 'charged_back', finished_at = clock_timestamp()
         where payment_id = $1 and status in ('pending', 'failed')",
        payment.id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}
