//! Waiting for a seat to come back.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, assert_invariants, eventually, make_event};

/// It may be asked again at any time, whatever came back.
async fn stands_by(shopper: &Shopper, job: &str) {
    eventually("it stands by", async || {
        shopper.status(job).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
}

#[tokio::test]
async fn a_returned_seat_goes_to_the_lowest_number_that_stands_by() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shoppers = lab.shoppers(4).await?;
    shoppers[0].outcome(&shoppers[0].book_seats(event, &seats).await?).await?;
    let wanted = json!({"quantity": 1, "standby": true});
    let second = shoppers[1].book(event, wanted.clone()).await?;
    let third = shoppers[2].book(event, wanted).await?;
    let plain = shoppers[3].book(event, json!({"quantity": 1})).await?;
    assert_eq!(shoppers[3].outcome(&plain).await?["code"], "sold_out", "who does not stand by is refused");
    eventually("both stand by", async || {
        let status = shoppers[2].status(&third).await.unwrap_or_default();
        status["standby"] == true && status["place"] == 2
    })
    .await;
    shoppers[0].call(Method::DELETE, &format!("/api/cart/seats/{}", seats[1]), None).await?;
    let outcome = tokio::time::timeout(Duration::from_secs(2), shoppers[1].outcome(&second)).await??;
    assert_eq!(outcome["result"]["seats"][0]["seatId"], json!(seats[1]));
    stands_by(&shoppers[2], &third).await;
    shoppers[0].call(Method::DELETE, &format!("/api/cart/seats/{}", seats[0]), None).await?;
    assert_eq!(shoppers[2].outcome(&third).await?["status"], "completed");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn whoever_cannot_use_what_came_back_does_not_block_the_next() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shoppers = lab.shoppers(3).await?;
    shoppers[0].outcome(&shoppers[0].book_seats(event, &seats).await?).await?;
    let pair = shoppers[1].book(event, json!({"quantity": 2, "adjacent": true, "standby": true})).await?;
    let single = shoppers[2].book(event, json!({"quantity": 1, "standby": true})).await?;
    stands_by(&shoppers[2], &single).await;
    shoppers[0].call(Method::DELETE, &format!("/api/cart/seats/{}", seats[2]), None).await?;
    assert_eq!(shoppers[2].outcome(&single).await?["status"], "completed");
    stands_by(&shoppers[1], &pair).await;
    assert_invariants(lab.store(), event).await
}
