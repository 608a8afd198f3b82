//! Another provider is chosen while payments of the one before are open.

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use shared::domain::RefundId;
use shared::pay::PaymentStatus;
use shared::shop::checkout::{Refunds, SendError};
use shared::store::RefundJob;
use standalone::settings::Part;

use crate::lab::bank::notice_of;
use crate::lab::{Ask, Bank, Fault, Lab, TestResult, Till, UNSWEPT, assert_invariants, eventually};

#[tokio::test]
async fn a_former_provider_is_heard_and_asked_about_its_payments() -> TestResult {
    let (present, former) = (Bank::cards(), Bank::named("former", true));
    let till = Till::open_beside(present.clone(), std::slice::from_ref(&former), &[], &[]).await?;
    let before = till.lab.add_paying(vec![former.provider()], &[Part::Gateway]).await?;
    let shoppers = till.lab.shoppers(4).await?;
    let mut purchases = Vec::new();
    for (at, shopper) in shoppers[..3].iter().enumerate() {
        purchases.push(till.buy(&shopper.at(&before.url), &till.seats[at..=at]).await?);
    }
    assert_eq!((former.sessions().len(), present.sessions().len()), (3, 0));
    // One is told, at the gateway that has the other provider by now, and by a path that names none.
    let paid = former.pay(&purchases[0].reference);
    let notice = (&notice_of("told", &paid), "good");
    assert_eq!(till.send_to(&till.lab.system.url, &former, notice).await?, StatusCode::OK);
    assert_eq!(till.status(&purchases[0]).await?, "paid");
    let forged = (&notice_of("forged", &paid), "bad");
    assert_eq!(till.send_to(&till.lab.system.url, &former, forged).await?, StatusCode::BAD_REQUEST);
    // One is never told, and asked about.
    former.pay(&purchases[1].reference);
    till.until(&purchases[1], "paid").await;
    eventually("its money is taken there", async || {
        former.state(&purchases[1].reference).status == PaymentStatus::Captured
    })
    .await;
    // One is given up, and its page closed.
    let path = format!("/api/orders/{}/cancel", purchases[2].order);
    assert_eq!(shoppers[2].post(&path, json!({})).await?.0, StatusCode::OK);
    assert_eq!(former.state(&purchases[2].reference).status, PaymentStatus::Expired);
    // What goes back goes back there; what is new is paid here.
    let path = format!("/api/orders/{}/refund", purchases[0].order);
    assert_eq!(shoppers[0].post(&path, json!({})).await?.0, StatusCode::OK);
    till.until(&purchases[0], "refunded").await;
    assert_eq!((former.given_back(), present.given_back()), (1_000, 0));
    let new = till.buy(&shoppers[3], &till.seats[5..6]).await?;
    assert_eq!(till.pay(&new).await?, StatusCode::OK);
    assert_eq!((till.status(&new).await?.as_str(), present.sessions().len()), ("paid", 1));
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn the_daily_comparison_reads_the_lists_of_all_connected_providers() -> TestResult {
    let (present, former) = (Bank::transfers(), Bank::named("former", false));
    let till = Till::open_beside(present.clone(), std::slice::from_ref(&former), UNSWEPT, &[]).await?;
    let before = till.lab.add_paying(vec![former.provider()], &[Part::Gateway]).await?;
    let [one, two]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let old = till.buy(&one.at(&before.url), &till.seats[..1]).await?;
    let new = till.buy(&two, &till.seats[1..2]).await?;
    former.pay(&old.reference);
    present.pay(&new.reference);
    let payments = till.payments()?;
    former.set_away(true);
    assert_eq!(payments.reconcile_daily().await?, None, "not all of it is done");
    assert_eq!(till.status(&new).await?, "paid", "one that is away does not hold up the others");
    assert_eq!(till.status(&old).await?, "awaiting_payment");
    former.set_away(false);
    sqlx::query("update reconciliations set started_at = started_at - interval '31 minutes'")
        .execute(till.lab.store().pool())
        .await?;
    assert_eq!(payments.reconcile_daily().await?, Some(1));
    assert_eq!(till.status(&old).await?, "paid");
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn what_a_provider_that_is_not_connected_should_give_back_waits_for_a_person() -> TestResult {
    let (present, former) = (Bank::cards(), Bank::named("former", true));
    let till = Till::open_with(present.clone(), UNSWEPT, &[]).await?;
    let before = till.lab.add_paying(vec![former.provider()], &[Part::Gateway]).await?;
    let shopper = till.lab.shopper().await?;
    let admin = till.lab.with_role(Role::Admin).await?;
    let purchase = till.buy(&shopper.at(&before.url), &till.seats[..1]).await?;
    let paid = former.pay(&purchase.reference);
    let notice = notice_of("told", &paid);
    // Whoever does not know the former provider has the webhook sent again.
    let forged = till.send_to(&till.lab.system.url, &former, (&notice, "good")).await?;
    assert_eq!(forged, StatusCode::BAD_REQUEST);
    assert_eq!(till.send_to(&before.url, &former, (&notice, "good")).await?, StatusCode::OK);
    let path = format!("/api/orders/{}/refund", purchase.order);
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::OK);
    let id = till.text("select id::text from refunds where order_id = $1", &purchase.order).await?;
    let refund = RefundId(id.parse()?);
    let job = RefundJob::Send { refund };
    let ended = Refunds::new(till.payments()?).run(&job).await;
    assert!(matches!(&ended, Err(SendError::Never(why)) if why == "former is not connected"), "{ended:?}");
    let (_, list) = admin.get("/api/admin/refunds?status=failed").await?;
    assert_eq!(
        (&list["items"][0]["id"], &list["items"][0]["error"]),
        (&json!(refund), &json!("former is not connected"))
    );
    // Connected again it is asked under the key that it would have had.
    assert!(till.lab.store().retry_refund(refund).await?);
    let payments = till.payments_with(vec![present.provider(), former.provider()])?;
    Refunds::new(payments).run(&job).await?;
    assert_eq!((former.given_back(), former.refund_keys()), (1_000, vec![id]));
    assert_eq!(till.status(&purchase).await?, "refunded");
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_a_lost_provider_never_opened_makes_room_for_another() -> TestResult {
    let (present, former) = (Bank::cards(), Bank::named("former", true));
    let till = Till::open_with(present.clone(), UNSWEPT, &[]).await?;
    let before = till.lab.add_paying(vec![former.provider()], &[Part::Gateway]).await?;
    let shopper = till.lab.shopper().await?;
    till.fill(&shopper, &till.seats[..1]).await?;
    former.fail(Ask::Create, &[Fault::Lost]);
    let (status, _) = shopper.at(&before.url).post("/api/cart/checkout", json!({})).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "its provider is not there");
    let (status, answer) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert!(status.is_success() && answer["redirectUrl"].is_string(), "{status}: {answer}");
    assert_eq!((present.sessions().len(), former.sessions().len()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn circuits_of_former_providers_are_shown_beside_the_chosen_one() -> TestResult {
    let lab = Lab::start_with(
        &[Part::Gateway],
        &[
            "--payment-providers-kept=stripe",
            "--public-url=http://127.0.0.1:1",
            "--stripe-secret-key=sk_test_1",
            "--stripe-webhook-secret=whsec_0123456789",
        ],
    )
    .await?;
    let (status, circuits) = lab.shopper().await?.get("/api/payments/circuit-breaker-status").await?;
    assert_eq!(status, StatusCode::OK, "{circuits}");
    assert_eq!(
        (&circuits["provider"], &circuits["state"], &circuits["failures"]),
        (&json!("sandbox"), &json!("closed"), &json!(0))
    );
    assert_eq!(circuits["kept"][0]["provider"], "stripe", "{circuits}");
    assert_eq!(circuits["kept"].as_array().map(Vec::len), Some(1));
    Ok(())
}
