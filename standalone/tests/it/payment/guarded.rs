//! What stands before a provider: its circuit and its rate.

use std::time::Duration;

use futures_util::future::{select_all, try_join_all};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::domain::{EventId, SeatId};
use standalone::settings::Part;

use super::Fallible;
use crate::lab::{
    EventPlan, Lab, ProviderBook, Shopper, TestResult, UNSWEPT, assert_invariants, eventually, make_event,
};

/// From the line to the provider's page.
async fn buy(shopper: &Shopper, (event, seat): (EventId, SeatId)) -> Fallible<(StatusCode, Value)> {
    shopper.outcome(&shopper.book_seats(event, &[seat]).await?).await?;
    Ok(shopper.post("/api/cart/checkout", json!({})).await?)
}

#[tokio::test]
async fn an_open_circuit_refuses_at_once_takes_webhooks_and_closes_when_the_provider_answers() -> TestResult {
    let words = ["--circuit-breaker-failure-threshold=2", "--circuit-breaker-timeout-seconds=3"];
    let lab = Lab::start_with(UNSWEPT, &words).await?;
    let book = ProviderBook::of(&lab)?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let [payer, buyer]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let (status, order) = buy(&payer, (event, seats[0])).await?;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let page = order["redirectUrl"].as_str().ok_or("a page")?;
    let circuit = async || buyer.get("/api/payments/circuit-breaker-status").await;
    let again = async || buyer.post("/api/cart/checkout", json!({})).await;
    // Each call is tried three times, and two calls without an answer open it.
    let fault = json!({"on": "create", "kind": "status", "status": 500, "next": 6});
    book.order_fault(&fault).await?;
    let (status, refused) = buy(&buyer, (event, seats[1])).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("payment_unavailable")));
    let (_, once) = circuit().await?;
    assert_eq!((&once["state"], &once["failures"]), (&json!("closed"), &json!(1)));
    assert_eq!(again().await?.0, StatusCode::SERVICE_UNAVAILABLE);
    let (_, twice) = circuit().await?;
    assert_eq!((&twice["state"], &twice["failures"]), (&json!("open"), &json!(2)), "{twice}");
    assert!(twice["openedAt"].is_string() && twice["retryAfter"].is_u64(), "{twice}");
    let (calls, _) = book.calls().await?;
    let (status, refused) = again().await?;
    assert_eq!((status, &refused["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("payment_unavailable")));
    assert_eq!(book.calls().await?.0, calls, "the provider is not asked");
    // What the provider tells by itself is taken all the same.
    assert_eq!(book.choose(page, "sbp").await?, StatusCode::SEE_OTHER);
    eventually("the first order is paid", async || {
        let paid = "select count(*) from orders where status in ('paid', 'fulfilled')";
        lab.count(paid).await.is_ok_and(|orders| orders == 1)
    })
    .await;
    assert_ne!(circuit().await?.1["state"], "closed");
    eventually("a call may be tried", async || {
        circuit().await.is_ok_and(|(_, now)| now["state"] == "half_open")
    })
    .await;
    let (status, answer) = again().await?;
    assert!(status == StatusCode::OK && answer["redirectUrl"].is_string(), "{status}: {answer}");
    let (_, closed) = circuit().await?;
    assert_eq!((&closed["state"], &closed["failures"]), (&json!("closed"), &json!(0)), "{closed}");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn those_who_wait_for_their_payment_keep_nobody_from_checking_out() -> TestResult {
    let lab = Lab::start_with(UNSWEPT, &[]).await?;
    // Two requests fill this gateway's time-out.
    let words = ["--payment-rate-per-second=1", "--payment-timeout-ms=2000"];
    let slow = lab.add_with(&[Part::Gateway], &words).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 14)).await?;
    let shoppers = lab.shoppers(14).await?;
    let (waiting, buying) = shoppers.split_at(12);
    let bought = try_join_all(waiting.iter().zip(&seats).map(|(shopper, seat)| buy(shopper, (event, *seat))));
    let mut looks = Vec::new();
    for (shopper, (status, order)) in waiting.iter().zip(bought.await?) {
        assert_eq!(status, StatusCode::CREATED, "{order}");
        let path = format!("/api/orders/{}", order["orderId"].as_str().ok_or("an order")?);
        looks.push(Box::pin(look(shopper.at(&slow.url), path)));
    }
    for (shopper, seat) in buying.iter().zip(&seats[12..]) {
        shopper.outcome(&shopper.book_seats(event, &[*seat]).await?).await?;
    }
    let check_out = async {
        eventually("the provider is asked for somebody who waits", async || {
            let asked = "select count(*) from payments where polled_at is not null";
            lab.count(asked).await.is_ok_and(|payments| payments > 0)
        })
        .await;
        for shopper in buying {
            let (status, answer) = shopper.at(&slow.url).post("/api/cart/checkout", json!({})).await?;
            assert_eq!(status, StatusCode::CREATED, "{answer}");
        }
        TestResult::Ok(())
    };
    tokio::select! {
        (refused, ..) = select_all(looks) => return Err(refused.into()),
        bought = check_out => bought?,
    }
    assert_invariants(lab.store(), event).await
}

/// Somebody who looks at their order as long as they are told how it stands; what else they were told.
async fn look(shopper: Shopper, path: String) -> String {
    loop {
        match shopper.get(&path).await {
            Ok((StatusCode::OK, order)) if order["status"] == "awaiting_payment" => {}
            Ok((status, answer)) => return format!("{status}: {answer}"),
            Err(error) => return error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
