//! Whether a break of what holds about money would be noticed.

use crate::lab::{Bank, TestResult, Till, UNSWEPT, assert_invariants, broken_invariants};

/// What is done to a paid order of two seats, and what of the invariants must notice it.
const BREAKS: &[(&str, &str)] = &[
    (
        "insert into payments (id, order_id, provider, status, amount_minor, currency, captured_at)
         select gen_random_uuid(), order_id, provider, 'captured', amount_minor, currency, now() from payments",
        "6: a second payment for one order is kept",
    ),
    (
        "insert into payments (id, order_id, provider, status, amount_minor, currency, captured_at)
         select gen_random_uuid(), order_id, provider, 'reversed', amount_minor, currency, now() from payments",
        "6: money that was taken and is not kept does not go back as a whole",
    ),
    (
        "with again as (
             insert into payments (id, order_id, provider, status, amount_minor, currency, captured_at, failure)
             select gen_random_uuid(), order_id, provider, 'reversed', amount_minor, currency, now(), 'order_closed'
             from payments returning id, order_id, amount_minor, currency
         )
         insert into refunds (id, order_id, payment_id, amount_minor, currency, reason, status)
         select gen_random_uuid(), order_id, id, amount_minor - 1, currency, 'order_closed', 'completed' from again",
        "6: money that was taken and is not kept does not go back as a whole",
    ),
    (
        "insert into refunds (id, order_id, payment_id, amount_minor, currency, reason)
         select gen_random_uuid(), order_id, id, 1000, currency, 'by_shopper' from payments",
        "6: money is on its way back and nobody sends it",
    ),
    (
        "insert into refunds (id, order_id, payment_id, amount_minor, currency, reason, status)
         select gen_random_uuid(), order_id, id, 1001, currency, 'by_shopper', 'completed' from payments, (values (1), (2)) x",
        "6: more goes back than was taken",
    ),
    (
        "with none as (delete from tickets) delete from jobs where queue = 'tickets'",
        "6: what was bought has no ticket, nobody makes one, and its money is not being taken",
    ),
    (
        "update order_items set status = 'refunded'",
        "6: money taken less money returned is not the price of what is sold",
    ),
    (
        "update payments set status = 'reversed', failure = 'order_closed'",
        "6: an order is paid and nobody has paid for it",
    ),
    (
        "with gone as (update order_items set status = 'released' returning id, event_id)
         insert into tickets (id, order_item_id, number, event_id, user_id)
         select gen_random_uuid(), gone.id, left(gone.id::text, 13) || gone.id, gone.event_id, o.user_id
         from gone, orders o on conflict (order_item_id) do nothing",
        "6: a ticket is good for a place that is nobody's or somebody else's",
    ),
    (
        "delete from seat_claims",
        "5: a place is sold without having been bought, or bought without being sold",
    ),
];

#[tokio::test]
async fn the_invariants_of_money_notice_what_they_are_for() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    till.pay(&purchase).await?;
    assert_eq!(till.status(&purchase).await?, "paid");
    assert_invariants(till.lab.store(), till.event).await?;
    till.until_books_agree().await;
    for (harm, noticed) in BREAKS {
        let mut tx = till.lab.store().pool().begin().await?;
        sqlx::query(*harm).execute(&mut *tx).await?;
        let broken = broken_invariants(&mut tx, till.event).await?;
        assert!(broken.contains(noticed), "{harm}: {broken:?}");
        tx.rollback().await?;
    }
    assert_invariants(till.lab.store(), till.event).await
}
