//! Money back, and the daily comparison.

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::{Money, OrderItemId, PaymentId, RefundId};
use shared::pay::{NewSession, PaymentStatus, Provider as _};
use shared::shop::checkout::{Refunds, SendError};
use shared::store::{REFUNDS, RefundJob};
use uuid::Uuid;

use crate::lab::{
    Ask, Bank, Fault, Purchase, Shopper, TestResult, Till, UNSWEPT, assert_invariants, eventually,
};

async fn bought(
    till: &Till,
    shopper: &Shopper,
    seats: std::ops::Range<usize>,
) -> Result<Purchase, Box<dyn std::error::Error>> {
    let purchase = till.buy(shopper, &till.seats[seats]).await?;
    till.pay(&purchase).await?;
    assert_eq!(till.status(&purchase).await?, "paid");
    Ok(purchase)
}

#[tokio::test]
async fn shoppers_give_back_items_and_then_the_rest_within_the_rules() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let [shopper, other]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let purchase = bought(&till, &shopper, 0..3).await?;
    let path = format!("/api/orders/{}/refund", purchase.order);
    assert_eq!(other.post(&path, json!({})).await?.0, StatusCode::NOT_FOUND);
    let (_, order) = shopper.get(&format!("/api/orders/{}", purchase.order)).await?;
    let item = order["items"][0]["id"].clone();
    let (status, _) = shopper.post(&path, json!({"itemIds": [Uuid::nil()]})).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "no item of this order");
    let (status, back) = shopper.post(&path, json!({"item_ids": [item]})).await?;
    assert_eq!(status, StatusCode::OK, "{back}");
    let (status, again) = shopper.post(&path, json!({"itemIds": [item]})).await?;
    assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!("refund_not_allowed")));
    till.until(&purchase, "partially_refunded").await;
    assert_eq!(till.bank.given_back(), 1_000);
    till.until_seat(0, "available").await;
    assert_eq!(till.seat(1).await?, "sold");
    assert_invariants(till.lab.store(), till.event).await?;
    let late = "update events set starts_at = clock_timestamp() + interval '23 hours'";
    sqlx::query(late).execute(till.lab.store().pool()).await?;
    let (status, refused) = shopper.post(&path, json!({})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("refund_not_allowed")));
    let soon = "update events set refund_until_hours = 2";
    sqlx::query(soon).execute(till.lab.store().pool()).await?;
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::OK);
    till.until(&purchase, "refunded").await;
    assert_eq!(till.bank.given_back(), 3_000);
    let (_, bookings) = shopper.get("/api/bookings").await?;
    assert_eq!(bookings["items"][0]["status"], "cancelled");
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_refund_that_fails_for_good_reaches_the_admins_and_is_sent_once_more() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let admin = till.lab.with_role(Role::Admin).await?;
    let purchase = bought(&till, &shopper, 0..1).await?;
    till.bank.fail(Ask::Refund, &[Fault::Refused]);
    let path = format!("/api/admin/orders/{}/refund", purchase.order);
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(admin.post(&path, json!({})).await?.0, StatusCode::ACCEPTED);
    let failed = async || -> Value {
        admin.get("/api/admin/refunds?status=failed").await.map(|(_, list)| list).unwrap_or_default()
    };
    let mut list = json!(null);
    eventually("it has failed", async || {
        list = failed().await;
        list["items"][0]["id"].is_string()
    })
    .await;
    assert_eq!(list["items"][0]["amount"], json!({"amount": 1_000, "currency": "EUR"}));
    let told = "select count(*) from jobs where queue = 'messages' and payload::text like '%refund_failed%'";
    assert_eq!(till.count(told).await?, 1);
    assert_invariants(till.lab.store(), till.event).await?;
    let retry = format!("/api/admin/refunds/{}/retry", list["items"][0]["id"].as_str().unwrap_or_default());
    assert_eq!(admin.post(&retry, json!({})).await?.0, StatusCode::ACCEPTED);
    till.until(&purchase, "refunded").await;
    assert_eq!(admin.post(&retry, json!({})).await?.0, StatusCode::NOT_FOUND, "it has not failed any more");
    assert_eq!(failed().await["items"], json!([]));
    let actions = "select count(*) from audit_log where action in ('order.refund', 'refund.retry')";
    assert_eq!(till.count(actions).await?, 2);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn all_that_was_paid_for_an_event_goes_back_though_the_worker_is_killed() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let shoppers = till.lab.shoppers(10).await?;
    let mut purchases = Vec::new();
    for (at, shopper) in shoppers.iter().enumerate() {
        purchases.push(bought(&till, shopper, at..at + 1).await?);
    }
    // A page of orders is given back again by whoever is told the same job twice.
    let payments = till.payments()?;
    let refunds = Refunds::new(payments);
    let reason = "event_cancelled".to_owned();
    let job = RefundJob::Event { reason, event: till.event, after: None, by: None, is_unready: false };
    refunds.run(&job).await?;
    refunds.run(&job).await?;
    assert_eq!(till.count("select count(*) from refunds").await?, 10);
    assert_eq!(till.bank.given_back(), 0, "the provider is asked by jobs of their own");
    let _sweeper = till.lab.add(&[standalone::settings::Part::Sweeper]).await?;
    till.until_given_back(10_000).await;
    for purchase in &purchases {
        till.until(purchase, "refunded").await;
    }
    assert_eq!(till.bank.calls(Ask::Refund), 10);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn an_admin_gives_a_whole_event_back() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let admin = till.lab.with_role(Role::Admin).await?;
    let shoppers = till.lab.shoppers(3).await?;
    let mut purchases = Vec::new();
    for (at, shopper) in shoppers.iter().enumerate() {
        purchases.push(bought(&till, shopper, at * 2..at * 2 + 2).await?);
    }
    let path = format!("/api/admin/events/{}/refund", till.event);
    assert_eq!(shoppers[0].post(&path, json!({})).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(admin.post("/api/admin/events/999999/refund", json!({})).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(admin.post(&path, json!({})).await?.0, StatusCode::ACCEPTED);
    for purchase in &purchases {
        till.until(purchase, "refunded").await;
    }
    assert_eq!(till.bank.given_back(), 6_000);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_cancelled_event_gives_everything_back_by_itself() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let admin = till.lab.with_role(Role::Admin).await?;
    let shoppers = till.lab.shoppers(2).await?;
    let first = bought(&till, &shoppers[0], 0..2).await?;
    let second = bought(&till, &shoppers[1], 2..3).await?;
    let path = format!("/api/admin/events/{}/cancel", till.event);
    for _ in 0..2 {
        assert_eq!(admin.post(&path, json!({})).await?.0, StatusCode::OK);
    }
    till.until(&first, "refunded").await;
    till.until(&second, "refunded").await;
    assert_eq!((till.bank.given_back(), till.bank.calls(Ask::Refund)), (3_000, 2));
    let reasons = "select count(*) from refunds where reason = 'event_cancelled'";
    assert_eq!(till.count(reasons).await?, 2);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn an_outage_of_days_is_waited_for_and_a_longer_one_is_told() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = bought(&till, &shopper, 0..1).await?;
    till.bank.set_away(true);
    let path = format!("/api/orders/{}/refund", purchase.order);
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::OK);
    let id = till.text("select id::text from refunds where order_id = $1", &purchase.order).await?;
    let job = RefundJob::Send { refund: RefundId(id.parse()?) };
    let refunds = Refunds::new(till.payments()?);
    for _ in 0..12 {
        assert!(matches!(refunds.run(&job).await, Err(SendError::Later(_))));
    }
    let status = "select status from refunds where order_id = $1";
    assert_eq!(till.text(status, &purchase.order).await?, "pending");
    sqlx::query("update refunds set created_at = created_at - interval '3 days'")
        .execute(till.lab.store().pool())
        .await?;
    assert!(matches!(refunds.run(&job).await, Err(SendError::Never(_))));
    assert_eq!(till.text(status, &purchase.order).await?, "failed");
    Ok(())
}

#[tokio::test]
async fn orders_whose_money_is_not_here_yet_are_looked_at_again_by_one_job() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let shopper = till.lab.shopper().await?;
    // A full page of them, and one more.
    sqlx::query(
        "with placed as (
             insert into orders (id, user_id, status, currency, total_minor, pay_until, paid_at)
             select gen_random_uuid(), $1, 'paid', 'EUR', 1000, now(), now() from generate_series(1, 51) returning id
         )
         insert into order_items
             (id, order_id, booking_id, event_id, area_id, slot, tier_name, place, price_minor, status)
         select gen_random_uuid(), id, gen_random_uuid(), $2, 1, row_number() over (), 'One', 'Floor', 1000, 'sold'
         from placed",
    )
    .bind(shopper.id.0)
    .bind(till.event.0)
    .execute(till.lab.store().pool())
    .await?;
    let refunds = Refunds::new(till.payments()?);
    let reason = "event_cancelled".to_owned();
    let first = RefundJob::Event { reason, event: till.event, after: None, by: None, is_unready: false };
    refunds.run(&first).await?;
    let pages = "select payload::text from jobs where queue = 'refunds' order by created_at, id";
    let pages = async || sqlx::query_scalar::<_, String>(pages).fetch_all(till.lab.store().pool()).await;
    let [second] = <[String; 1]>::try_from(pages().await?).map_err(|all| all.join(" "))?;
    let second: RefundJob = serde_json::from_str(&second)?;
    assert!(matches!(second, RefundJob::Event { after: Some(_), is_unready: true, .. }), "{second:?}");
    refunds.run(&second).await?;
    let [_, again] = <[String; 2]>::try_from(pages().await?).map_err(|all| all.join(" "))?;
    assert_eq!(serde_json::from_str::<RefundJob>(&again)?, first, "from the beginning, once");
    Ok(())
}

#[tokio::test]
async fn a_place_that_is_removed_is_paid_back_by_the_job_that_says_so() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = bought(&till, &shopper, 0..2).await?;
    let (_, order) = shopper.get(&format!("/api/orders/{}", purchase.order)).await?;
    let item: OrderItemId = serde_json::from_value(order["items"][0]["id"].clone())?;
    sqlx::query("delete from seat_claims where seat_id = $1")
        .bind(till.seats[0].0)
        .execute(till.lab.store().pool())
        .await?;
    let job = shared::store::NewNamedJob {
        queue: REFUNDS,
        lane: 0,
        payload: json!({"reason": "place_removed", "orderItem": item}),
        run_at: None,
    };
    till.lab.store().add_job(&job).await?;
    till.until(&purchase, "partially_refunded").await;
    assert_eq!(till.bank.given_back(), 1_000);
    let reason = till.text("select reason from refunds where order_id = $1", &purchase.order).await?;
    assert_eq!(reason, "place_removed");
    Ok(())
}

#[tokio::test]
async fn the_daily_comparison_finds_and_mends_what_was_never_told() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let [first, second]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let untold = till.buy(&first, &till.seats[..1]).await?;
    let told = bought(&till, &second, 1..2).await?;
    till.bank.pay(&untold.reference);
    let strangers = [stranger(&till).await?, stranger(&till).await?];
    for reference in &strangers {
        till.bank.pay(reference);
    }
    // The last comparison that was finished began two weeks ago, and the next one goes back a week behind that.
    sqlx::query(
        "insert into reconciliations (started_at, finished_at)
         select clock_timestamp() - make_interval(days => 14), clock_timestamp() - make_interval(days => 14)",
    )
    .execute(till.lab.store().pool())
    .await?;
    till.bank.age(&untold.reference, 20);
    till.bank.age(&strangers[1], 22);
    let payments = till.payments()?;
    till.bank.fail(Ask::Query, &[Fault::Lost]);
    assert_eq!(payments.reconcile_daily().await?, None, "one of them could not be compared");
    assert_eq!(till.status(&untold).await?, "awaiting_payment");
    assert_eq!(till.count("select count(*) from payment_differences").await?, 1, "the others were");
    sqlx::query("update reconciliations set started_at = started_at - interval '31 minutes'")
        .execute(till.lab.store().pool())
        .await?;
    assert_eq!(payments.reconcile_daily().await?, Some(2));
    assert_eq!(payments.reconcile_daily().await?, None, "once a day");
    assert_eq!(till.status(&untold).await?, "paid");
    assert_eq!(till.bank.state(&told.reference).status, PaymentStatus::Captured);
    let admin = till.lab.with_role(Role::Admin).await?;
    let (_, found) = admin.get("/api/admin/payments/differences").await?;
    let kinds: Vec<(Value, Value)> = found["items"]
        .as_array()
        .ok_or("differences")?
        .iter()
        .map(|one| (one["kind"].clone(), one["repaired"].clone()))
        .collect();
    assert!(kinds.contains(&(json!("status"), json!(true))), "{found}");
    assert!(kinds.contains(&(json!("unknown_here"), json!(false))), "{found}");
    let (status, _) = first.get("/api/admin/payments/differences").await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_invariants(till.lab.store(), till.event).await
}

/// Something that is paid at the bank and not known here; its name there.
async fn stranger(till: &Till) -> Result<String, Box<dyn std::error::Error>> {
    let new = NewSession {
        payment: PaymentId::new(),
        order: shared::domain::OrderId::new(),
        amount: Money { amount: 700, currency: "EUR".to_owned() },
        description: String::new(),
        email: None,
        language: "en".to_owned(),
        return_url: String::new(),
        cancel_url: String::new(),
        pay_until: chrono::Utc::now(),
    };
    Ok(till.bank.create_session(&new).await?.reference)
}

/// Sends the refund of an order by hand.
async fn send_refund(till: &Till, purchase: &Purchase) -> TestResult {
    let id = till.text("select id::text from refunds where order_id = $1", &purchase.order).await?;
    let job = RefundJob::Send { refund: RefundId(id.parse()?) };
    Ok(Refunds::new(till.payments()?).run(&job).await?)
}

#[tokio::test]
async fn every_kind_of_difference_is_written_down_by_itself() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let shoppers = till.lab.shoppers(7).await?;
    let mut purchases = Vec::new();
    for (at, shopper) in shoppers.iter().enumerate() {
        purchases.push(till.buy(shopper, &till.seats[at..=at]).await?);
    }
    let [fine, amount, unreturned, kept, aside, missing, charged_back]: [Purchase; 7] =
        purchases.try_into().map_err(|_| "seven purchases")?;
    // What is paid for an order that was cancelled goes back.
    for (at, purchase) in [(3, &kept), (4, &aside)] {
        let path = format!("/api/orders/{}/cancel", purchase.order);
        assert_eq!(shoppers[at].post(&path, json!({})).await?.0, StatusCode::OK);
    }
    for purchase in [&fine, &amount, &unreturned, &kept, &aside, &missing, &charged_back] {
        assert_eq!(till.pay(purchase).await?, StatusCode::OK);
    }
    let path = format!("/api/orders/{}/refund", unreturned.order);
    assert_eq!(shoppers[2].post(&path, json!({})).await?.0, StatusCode::OK);
    for purchase in [&unreturned, &kept, &aside] {
        send_refund(&till, purchase).await?;
    }
    sqlx::query("update payments set created_at = created_at - interval '1 hour'")
        .execute(till.lab.store().pool())
        .await?;
    till.bank.change(&amount.reference, |state| state.amount.amount = 999);
    till.bank.change(&unreturned.reference, |state| state.refunded_minor = 0);
    till.bank.change(&kept.reference, |state| state.refunded_minor = 0);
    till.bank.change(&aside.reference, |state| state.status = PaymentStatus::Authorized);
    till.bank.forget(&missing.reference);
    till.bank.charge_back(&charged_back.reference);
    let stranger = stranger(&till).await?;
    till.bank.charge_back(&stranger);
    let payments = till.payments()?;
    assert_eq!(payments.reconcile_daily().await?, Some(8));
    let found = payments.differences(100).await?;
    let mut found: Vec<_> = found
        .iter()
        .map(|one| (&*one.provider_ref, &*one.kind, &*one.ours, &*one.theirs, one.repaired))
        .collect();
    found.sort_unstable();
    let mut expected = vec![
        (&*amount.reference, "amount", "1000 EUR", "999 EUR", false),
        (&*unreturned.reference, "refunds", "1000", "0", false),
        (&*kept.reference, "refunds", "1000", "0", false),
        (&*kept.reference, "kept", "0", "1000", false),
        (&*aside.reference, "status", "reversed", "authorized", false),
        (&*missing.reference, "missing_there", "captured", "none", false),
        (&*charged_back.reference, "status", "captured", "charged_back", true),
        (&*stranger, "unknown_here", "none", "charged_back", false),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(till.status(&fine).await?, "paid");
    assert_eq!(till.status(&charged_back).await?, "refunded");
    Ok(())
}

#[tokio::test]
async fn what_is_given_back_at_the_provider_s_is_known_here_and_not_sent_a_second_time() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let [first, second]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let partly = bought(&till, &first, 0..2).await?;
    let wholly = bought(&till, &second, 2..4).await?;
    let state = till.bank.change(&partly.reference, |state| state.refunded_minor = 1_000);
    for id in ["once", "twice"] {
        assert_eq!(till.tell(id, &state).await?, StatusCode::OK);
    }
    assert_eq!(till.status(&partly).await?, "paid");
    let made = "select count(*) from refunds
         where reason = 'made_there' and status = 'completed' and amount_minor = 1000";
    assert_eq!(till.count(made).await?, 1);
    let to_decide = "select count(*) from payment_differences where kind = 'refunded_there' and not repaired";
    assert_eq!(till.count(to_decide).await?, 1);
    let told =
        "select count(*) from jobs where queue = 'messages' and payload::text like '%payment_differs%'";
    assert_eq!(till.count(told).await?, 1, "once");
    // Whoever decides names the places that it was for.
    let (_, order) = first.get(&format!("/api/orders/{}", partly.order)).await?;
    let path = format!("/api/orders/{}/refund", partly.order);
    let body = json!({"itemIds": [order["items"][0]["id"]]});
    assert_eq!(first.post(&path, body).await?.0, StatusCode::OK);
    assert_eq!(till.status(&partly).await?, "partially_refunded");
    assert_eq!(till.count("select count(*) from refunds").await?, 1, "its money is back already");
    assert_eq!(till.count("select count(*) from seat_claims where status = 'sold'").await?, 3);
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await?;
    // Nobody tells of the other one.
    till.bank.change(&wholly.reference, |state| state.refunded_minor = 2_000);
    assert_eq!(till.payments()?.reconcile_daily().await?, Some(1));
    assert_eq!(till.status(&wholly).await?, "refunded");
    assert_eq!(till.count("select count(*) from seat_claims where status = 'sold'").await?, 1);
    assert_eq!(till.count(told).await?, 1, "there is nothing to decide");
    let shopper =
        "select count(*) from jobs where queue = 'messages' and payload::text like '%\"refunded\"%'";
    assert_eq!(till.count(shopper).await?, 1);
    let facts = "select count(*) from outbox where topic = 'order.refunded'";
    assert_eq!(till.count(facts).await?, 2);
    assert_eq!(till.bank.calls(Ask::Refund), 0);
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

/// A shopper's refund of a paid order, to be sent by hand.
async fn unsent(till: &Till) -> Result<(Purchase, RefundId), Box<dyn std::error::Error>> {
    let shopper = till.lab.shopper().await?;
    let purchase = bought(till, &shopper, 0..1).await?;
    let path = format!("/api/orders/{}/refund", purchase.order);
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::OK);
    let id = till.text("select id::text from refunds where order_id = $1", &purchase.order).await?;
    Ok((purchase, RefundId(id.parse()?)))
}

#[tokio::test]
async fn a_refund_keeps_its_key_while_nobody_knows_what_became_of_it() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let (purchase, refund) = unsent(&till).await?;
    till.bank.fail(Ask::Refund, &[Fault::Lost, Fault::Unheard, Fault::Lost]);
    let (refunds, job) = (Refunds::new(till.payments()?), RefundJob::Send { refund });
    for _ in 0..2 {
        assert!(matches!(refunds.run(&job).await, Err(SendError::Later(_))));
    }
    // After three days a person has it; that says nothing of what the bank did.
    sqlx::query("update refunds set created_at = created_at - interval '3 days', attempts = 7")
        .execute(till.lab.store().pool())
        .await?;
    assert!(matches!(refunds.run(&job).await, Err(SendError::Never(_))));
    assert!(till.lab.store().retry_refund(refund).await?);
    refunds.run(&job).await?;
    assert_eq!(till.bank.refund_keys(), vec![refund.to_string(); 4]);
    assert_eq!(till.bank.given_back(), 1_000, "once");
    assert_eq!(till.status(&purchase).await?, "refunded");
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_refund_that_was_refused_has_another_key_once_a_person_sends_it_again() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let (purchase, refund) = unsent(&till).await?;
    till.bank.fail(Ask::Refund, &[Fault::Lost, Fault::Refused, Fault::Refused]);
    let (refunds, job) = (Refunds::new(till.payments()?), RefundJob::Send { refund });
    assert!(matches!(refunds.run(&job).await, Err(SendError::Later(_))));
    for _ in 0..2 {
        assert!(matches!(refunds.run(&job).await, Err(SendError::Never(_))));
        refunds.run(&job).await?;
        assert!(till.lab.store().retry_refund(refund).await?);
    }
    refunds.run(&job).await?;
    let keys = ["", "", "-1", "-2"].map(|end| format!("{refund}{end}"));
    assert_eq!(till.bank.refund_keys(), keys, "nothing is sent while a person has it");
    assert_eq!(till.bank.given_back(), 1_000);
    assert_eq!(till.status(&purchase).await?, "refunded");
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_refund_that_waits_for_a_person_is_not_sent_after_a_chargeback() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let (purchase, refund) = unsent(&till).await?;
    till.bank.fail(Ask::Refund, &[Fault::Refused]);
    let (refunds, job) = (Refunds::new(till.payments()?), RefundJob::Send { refund });
    assert!(matches!(refunds.run(&job).await, Err(SendError::Never(_))));
    let state = till.bank.charge_back(&purchase.reference);
    assert_eq!(till.tell("taken back", &state).await?, StatusCode::OK);
    assert!(!till.lab.store().retry_refund(refund).await?, "the payer's bank has the money");
    assert_eq!(till.bank.given_back(), 0);
    assert_eq!(till.status(&purchase).await?, "refunded");
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_refund_that_was_closed_by_a_chargeback_is_sent_once_the_shop_has_the_money_again() -> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let (purchase, refund) = unsent(&till).await?;
    let state = till.bank.charge_back(&purchase.reference);
    assert_eq!(till.tell("taken back", &state).await?, StatusCode::OK);
    let admin = till.lab.with_role(Role::Admin).await?;
    let retry = format!("/api/admin/refunds/{refund}/retry");
    assert_eq!(
        admin.post(&retry, json!({})).await?.0,
        StatusCode::NOT_FOUND,
        "the payer's bank has the money"
    );
    till.bank.pay(&purchase.reference);
    assert_eq!(admin.post(&retry, json!({})).await?.0, StatusCode::ACCEPTED);
    Refunds::new(till.payments()?).run(&RefundJob::Send { refund }).await?;
    assert_eq!(till.bank.given_back(), 1_000);
    let told = "select count(*) from outbox where topic in ('order.refunded', 'order.charged_back')";
    assert_eq!(till.count(told).await?, 1, "figures count it once");
    Ok(())
}

#[tokio::test]
async fn figures_count_what_was_given_back_before_a_chargeback_once() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = bought(&till, &shopper, 0..3).await?;
    let (_, order) = shopper.get(&format!("/api/orders/{}", purchase.order)).await?;
    let path = format!("/api/orders/{}/refund", purchase.order);
    let body = json!({"itemIds": [order["items"][0]["id"]]});
    assert_eq!(shopper.post(&path, body).await?.0, StatusCode::OK);
    till.until(&purchase, "partially_refunded").await;
    let state = till.bank.charge_back(&purchase.reference);
    assert_eq!(till.tell("taken back", &state).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "refunded");
    // The fact says what of it is lost now; the figures follow from it.
    let operator = till.lab.with_role(Role::Operator).await?;
    let path = format!("/api/admin/events/{}/figures", till.event);
    let mut total = json!(null);
    eventually("all is counted", async || {
        let Ok((_, report)) = operator.get(&path).await else { return false };
        total = report["total"].clone();
        total["sold"] == 3 && total["refunded"].as_i64().is_some_and(|refunded| refunded >= 3)
    })
    .await;
    assert_eq!(total["refunded"], 3, "{total}");
    assert_eq!(total["revenue"], json!([{"amount": 3_000, "currency": "EUR"}]));
    assert_eq!(total["returned"], json!([{"amount": 3_000, "currency": "EUR"}]));
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}
