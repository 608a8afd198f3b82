//! An event that is cancelled when it is sold: every order goes back, within the provider's rate, whoever is killed.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use shared::domain::EventId;
use standalone::settings::Part;
use worker::refunds::POLICY;

use super::Fallible;
use crate::lab::{
    Booked, EventPlan, Lab, ProviderBook, Shopper, TestResult, assert_invariants, eventually_within,
    make_event,
};

/// Shoppers who buy at the same time.
const AT_ONCE: usize = 32;

/// How large it is.
struct Plan {
    /// A multiple of 20.
    orders: i32,
    /// Requests of a worker to the provider per second.
    rate: u32,
    patience: Duration,
}

/// From the cart to the provider's page, and paid there.
async fn buy((shopper, event): (&Shopper, EventId), book: &ProviderBook) -> Fallible<()> {
    let won = shopper.outcome(&shopper.book(event, json!({"quantity": 1})).await?).await?;
    if won["status"] != "completed" {
        return Err(format!("no seat: {won}").into());
    }
    let (status, order) = shopper.post("/api/cart/checkout", json!({})).await?;
    let page = order["redirectUrl"].as_str().ok_or_else(|| format!("{status}: {order}"))?;
    match book.choose(page, "sbp").await? {
        StatusCode::SEE_OTHER => Ok(()),
        status => Err(format!("the page answers {status}").into()),
    }
}

/// Every seat of an event is sold and paid, each in an order of its own.
async fn sell_out(lab: &Lab, book: &ProviderBook, plan: &Plan) -> Fallible<EventId> {
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(plan.orders / 20, 20)).await?;
    let shoppers = lab.shoppers(usize::try_from(plan.orders)?).await?;
    let bought: Vec<_> = shoppers.iter().map(|shopper| buy((shopper, event), book)).collect();
    let mut bought = stream::iter(bought).buffer_unordered(AT_ONCE);
    while let Some(one) = bought.next().await {
        one?;
    }
    eventually_within(plan.patience, "every order has its ticket", async || {
        let fulfilled = "select count(*) from orders where status = 'fulfilled'";
        lab.count(fulfilled).await.is_ok_and(|orders| orders == i64::from(plan.orders))
    })
    .await;
    Ok(event)
}

/// Cancels an event that is sold out, and kills the worker twice while the money goes back.
async fn cancel(plan: &Plan) -> TestResult {
    // Whoever sells is not held up; the workers that give back have the rate that is meant.
    let words = [
        "--payment-rate-per-second=100000",
        "--payment-limit-seconds=600",
        "--queue-lease-ms=1500",
        "--database-statement-timeout-ms=1200",
        "--database-lock-timeout-ms=1200",
    ];
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &words).await?;
    let book = ProviderBook::of(&lab)?;
    let mut worker = lab.spawn("worker")?;
    let event = sell_out(&lab, &book, plan).await?;
    worker.kill();
    let rate = format!("--payment-rate-per-second={}", plan.rate);
    let orders = i64::from(plan.orders);
    let taken = orders * 1_000;
    let payments = usize::try_from(plan.orders)?;
    assert_eq!(book.money().await?, Booked { taken, payments, ..Booked::default() });
    book.forget_calls().await?;
    let admin = lab.with_role(Role::Admin).await?;
    // The queue's own limit is out of the way, so that nothing but the workers' rate holds the calls back.
    let limits = json!({"queue": "refunds", "maxJobs": 100_000, "windowMs": 1_000});
    assert_eq!(admin.post("/api/admin/queue/limits", limits).await?.0, StatusCode::OK);
    let path = format!("/api/admin/events/{event}/cancel");
    assert_eq!(admin.post(&path, json!({})).await?.0, StatusCode::OK);
    let returned = async || lab.count("select count(*) from refunds where status = 'completed'").await;
    let started = std::time::Instant::now();
    for third in 1..=2 {
        worker = lab.spawn_with("worker", &[&rate])?;
        eventually_within(plan.patience, "money goes back", async || {
            returned().await.is_ok_and(|done| done >= orders * third / 3)
        })
        .await;
        worker.kill();
        assert!(returned().await? < orders, "killed in the midst of it");
        // The rate is each worker's own: the next one begins when no second has calls of both.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let _last = lab.spawn_with("worker", &[&rate])?;
    eventually_within(plan.patience, "every order is refunded", async || {
        let refunded = "select count(*) from orders where status = 'refunded'";
        lab.count(refunded).await.is_ok_and(|done| done == orders)
    })
    .await;
    let took = started.elapsed();
    assert_eq!(returned().await?, orders);
    assert_eq!(lab.count("select count(*) from refunds").await?, orders, "each order goes back once");
    assert_eq!(lab.count("select count(*) from tickets where status <> 'cancelled'").await?, 0);
    // Before the book is read, as that is a call as well.
    let (calls, busiest) = book.calls().await?;
    let all_back = Booked { taken, returned: taken, payments, returned_whole: payments };
    assert_eq!(book.money().await?, all_back, "the provider's book says the same");
    eprintln!(
        "{orders} orders went back in {took:.0?}: {calls} calls, {busiest} in the busiest second of {} and a tenth",
        plan.rate
    );
    // A tenth of a second's worth goes at once. What was held up on its way comes together: no more than is under way.
    let under_way = u64::try_from(POLICY.lanes * POLICY.at_once)?;
    let most = u64::from(plan.rate + plan.rate / 10 + 1) + under_way;
    // Without a rate, what a worker sends before it is killed would be more than that in a second.
    assert!(most < orders.unsigned_abs() / 3, "too few orders to tell");
    assert!(busiest <= most, "{busiest} calls in one second, {most} at most");
    assert!(calls >= u64::try_from(orders)?, "all of them were asked for");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_sold_event_goes_back_once_and_within_the_rate_though_workers_are_killed() -> TestResult {
    cancel(&Plan { orders: 120, rate: 15, patience: Duration::from_mins(1) }).await
}

#[tokio::test]
async fn soak_ten_thousand_orders_go_back_once_and_within_the_rate_though_workers_are_killed() -> TestResult {
    cancel(&Plan { orders: 10_000, rate: 100, patience: Duration::from_mins(15) }).await
}
