//! What happens at a provider without us to money that is settled here: it is given back there, by hand; or the payer's
//! bank gives back to the shop what it had taken.

use sqlx::PgConnection;

use super::super::StoreError;
use super::super::orders::{NewFacts, append_order_facts};
use super::lock::Locked;
use super::reconcile::{NewDifference, close_difference, tell_difference};
use super::reverse::revoke;
use super::settle::{Effect, Settled, mark};
use crate::domain::{Money, RefundId};
use crate::messages::{self, Message, Outgoing, Recipient};
use crate::pay::PaymentStatus;

/// Money of a payment that goes back, or went, as far as it is known here.
struct Returns {
    /// All of it, whatever became of it.
    all_minor: i64,
    /// What is on its way, or waits for a person.
    open_minor: i64,
}

/// A payment that was settled before, as its provider has it now.
pub(super) async fn look_again(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
) -> Result<Settled, StoreError> {
    let state = payment.state;
    if state.status != PaymentStatus::Captured {
        return Ok(Settled::of(Effect::Nothing));
    }
    let returns = read_returns(connection, payment).await?;
    // Ours are written before they are sent, so what is more than all of them is none of ours.
    let outside = state.refunded_minor - returns.all_minor;
    if outside > 0 {
        return note_returned(connection, payment, outside, returns.all_minor).await;
    }
    if payment.status == "reversed" {
        return note_won(connection, payment, &returns).await;
    }
    if !payment.is_told {
        close_difference(connection, payment.id, "partly_charged_back").await?;
    }
    Ok(Settled::of(Effect::Nothing))
}

async fn read_returns(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<Returns, StoreError> {
    let row = sqlx::query!(
        r#"select coalesce(sum(amount_minor), 0)::bigint as "all!",
               coalesce(sum(amount_minor) filter (
                   where status <> 'completed' and error is distinct from 'charged_back'), 0)::bigint as "open!"
           from refunds where payment_id = $1"#,
        payment.id.0
    )
    .fetch_one(connection)
    .await?;
    Ok(Returns { all_minor: row.all, open_minor: row.open })
}

/// Writes down what went back there. When nothing is left of the payment, what was bought with it is revoked; else a person
/// decides.
async fn note_returned(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    outside: i64,
    known: i64,
) -> Result<Settled, StoreError> {
    let (paid, returned) = (&payment.state.amount, payment.state.refunded_minor);
    let amount = Money { amount: outside, currency: paid.currency.clone() };
    insert_ended(connection, payment, &amount, ("made_there", None)).await?;
    let is_whole = returned >= paid.amount;
    let ours = format!("{known} {}", paid.currency);
    let theirs = format!("{returned} {} of {} {}", paid.currency, paid.amount, paid.currency);
    let difference =
        NewDifference { repaired: is_whole, ..payment.difference("refunded_there", ours, theirs) };
    tell_difference(connection, &difference).await?;
    if !is_whole {
        return Ok(Settled::of(Effect::PartlyReturnedThere));
    }
    complete_refunds(connection, payment).await?;
    let mut settled = Settled::of(Effect::ReturnedThere);
    if payment.status == "captured" {
        let to = Recipient::User { id: payment.order.user };
        let message = Message::Refunded { order: payment.order.id, amount };
        messages::send(connection, &Outgoing { to, message }).await?;
        let (bought, freed) = revoke(connection, payment).await?;
        let facts = NewFacts {
            payment: Some(payment.id),
            reason: Some("made_there"),
            items: Some(&bought),
            ..NewFacts::of("order.refunded")
        };
        append_order_facts(connection, payment.order.id, payment.order.user, &facts).await?;
        settled.freed = freed;
    }
    Ok(settled)
}

/// The shop has money that the payer's bank had taken, and nothing is sold for it any more. It is sent back, or kept, as a
/// person decides: a refund waits for them.
async fn note_won(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    returns: &Returns,
) -> Result<Settled, StoreError> {
    let paid = &payment.state.amount;
    let left = paid.amount - payment.state.refunded_minor - returns.open_minor;
    if payment.failure.as_deref() != Some("charged_back") || left <= 0 {
        if !payment.is_told {
            mark(connection, payment.id, "reversed", None).await?;
        }
        return Ok(Settled::of(Effect::Nothing));
    }
    if payment.is_told {
        // A late notice of how it was before the chargeback says the same, so the provider is asked.
        ask_soon(connection, payment).await?;
        return Ok(Settled::of(Effect::Nothing));
    }
    let further = left - reopen_refunds(connection, payment).await?;
    if further > 0 {
        let amount = Money { amount: further, currency: paid.currency.clone() };
        insert_ended(connection, payment, &amount, ("dispute_won", Some("dispute_won"))).await?;
    }
    mark(connection, payment.id, "reversed", None).await?;
    let theirs = format!("captured, {left} {} left", paid.currency);
    let difference = payment.difference("dispute_won", "charged_back".to_owned(), theirs);
    tell_difference(connection, &difference).await?;
    Ok(Settled::of(Effect::Won))
}

/// Writes a refund that nobody sends by itself: one that was made, or one that waits for a person, with why.
async fn insert_ended(
    connection: &mut PgConnection,
    payment: &Locked<'_>,
    amount: &Money,
    (reason, error): (&str, Option<&str>),
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into refunds
             (id, order_id, payment_id, amount_minor, currency, reason, error, status, finished_at)
         values ($1, $2, $3, $4, $5, $6, $7,
             case when $7::text is null then 'completed' else 'failed' end, clock_timestamp())",
        RefundId::new().0,
        payment.order.id.0,
        payment.id.0,
        amount.amount,
        amount.currency,
        reason,
        error
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Nothing is left at the provider: whatever was on its way, or waited for a person, went back there too.
async fn complete_refunds(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "update refunds set status = 'completed', error = null, finished_at = clock_timestamp()
         where payment_id = $1 and status <> 'completed'",
        payment.id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Refunds that the chargeback had closed wait for a person; how much they are.
async fn reopen_refunds(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<i64, StoreError> {
    let again = sqlx::query_scalar!(
        r#"with again as (
               update refunds set error = 'dispute_won'
               where payment_id = $1 and status = 'failed' and error = 'charged_back' returning amount_minor
           )
           select coalesce(sum(amount_minor), 0)::bigint as "again!" from again"#,
        payment.id.0
    );
    Ok(again.fetch_one(connection).await?)
}

async fn ask_soon(connection: &mut PgConnection, payment: &Locked<'_>) -> Result<(), StoreError> {
    sqlx::query!("update payments set poll_at = clock_timestamp(), polls = 0 where id = $1", payment.id.0)
        .execute(connection)
        .await?;
    Ok(())
}
