//! Orders that nobody pays for.

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use shared::domain::SeatId;
use shared::pay::PaymentStatus;
use standalone::settings::Part;

use crate::lab::{
    Ask, Bank, EventPlan, Socket, TestResult, Till, UNSWEPT, assert_invariants, eventually, make_event,
};

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_is_ended_and_told() -> TestResult {
    let till = Till::open_with(Bank::cards(), &[], &["--payment-limit-seconds=1"]).await?;
    let shopper = till.lab.shopper().await?;
    let mut socket = Socket::open(&shopper).await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    let expired = socket.until("expired").await?;
    assert_eq!((&expired["bookingId"], &expired["eventId"]), (&json!(purchase.booking), &json!(till.event)));
    let mut told: Vec<SeatId> = serde_json::from_value(expired["seatIds"].clone())?;
    told.sort_unstable();
    assert_eq!(told, till.seats[..2]);
    till.until(&purchase, "expired").await;
    till.until_seat(0, "available").await;
    assert_eq!(till.bank.calls(Ask::Expire), 1, "the page is closed before the seats are given away");
    let (_, bookings) = shopper.get("/api/bookings").await?;
    assert_eq!(bookings["items"][0]["status"], "expired");
    let told = "select count(*) from jobs where queue = 'messages' and payload::text like '%order_expired%'";
    assert_eq!(till.count(told).await?, 1);
    assert_eq!(till.count("select count(*) from outbox where topic = 'order.expired'").await?, 1);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn an_event_that_holds_for_a_shorter_time_shortens_the_time_to_pay() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let plan = EventPlan { hold_seconds: 60, ..EventPlan::hall(1, 2) };
    let (event, ..) = make_event(till.lab.store(), &plan).await?;
    let shopper = till.lab.shopper().await?;
    shopper.outcome(&shopper.book(event, json!({"quantity": 2})).await?).await?;
    let (_, order) = shopper.post("/api/cart/checkout", json!({})).await?;
    let left = order["remainingSeconds"].as_i64().ok_or("seconds")?;
    assert!((50..=60).contains(&left), "{left}");
    Ok(())
}

#[tokio::test]
async fn seats_that_are_being_paid_for_are_not_taken_over_while_the_provider_is_away() -> TestResult {
    let words = ["--payment-limit-seconds=1", "--payment-grace-seconds=60"];
    let till = Till::open_with(Bank::cards(), &[Part::Gateway, Part::Sweeper], &words).await?;
    let worker = till.lab.add(&[Part::Worker]).await?;
    let [buyer, next]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let purchase = till.buy(&buyer, &till.seats[..9]).await?;
    till.bank.set_away(true);
    till.until(&purchase, "expiring").await;
    // The claims' own time is over; the booking is not a cart any more, so nobody takes it over.
    let path = format!("/api/bookings/{}/book", till.event);
    let (status, named) = next.post(&path, json!({"seatIds": &till.seats[..1]})).await?;
    assert_eq!((status, &named["code"]), (StatusCode::CONFLICT, &json!("seat_taken")));
    let best = next.outcome(&next.book(till.event, json!({"quantity": 2})).await?).await?;
    assert_eq!(best["status"], "failed", "{best}");
    assert_eq!(till.seat(0).await?, "reserved");
    let more = buyer.outcome(&buyer.book(till.event, json!({"quantity": 2})).await?).await?;
    assert_eq!(more["code"], "limit_reached", "what is being paid for counts");
    // A worker that starts anew knows no more than the store does.
    worker.stop().await;
    let _anew = till.lab.add(&[Part::Worker]).await?;
    let again = next.outcome(&next.book(till.event, json!({"quantity": 2})).await?).await?;
    assert_eq!(again["status"], "failed", "{again}");
    till.bank.pay(&purchase.reference);
    till.bank.set_away(false);
    till.until(&purchase, "paid").await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn places_that_are_being_paid_for_count_as_held_until_their_order_is_closed() -> TestResult {
    let words = ["--payment-limit-seconds=1", "--payment-grace-seconds=60"];
    let mut till = Till::open_with(Bank::cards(), &[], &words).await?;
    let plan = EventPlan { standing: 5, ..EventPlan::hall(1, 4) };
    let (event, seats, area) = make_event(till.lab.store(), &plan).await?;
    (till.event, till.seats) = (event, seats);
    let (buyer, operator) = (till.lab.shopper().await?, till.lab.with_role(Role::Operator).await?);
    let standing = buyer.book(event, json!({"quantity": 3, "areaId": area})).await?;
    assert_eq!(buyer.outcome(&standing).await?["status"], "completed");
    let purchase = till.buy(&buyer, &till.seats[..2]).await?;
    till.bank.set_away(true);
    // Of nine places five are bought, whatever the clock says meanwhile.
    let assert_places = async |held: u64, sold: u64| -> TestResult {
        let (_, figures) = operator.get(&format!("/api/admin/events/{event}/figures")).await?;
        let now = &figures["events"][0];
        let told = (&now["held"], &now["sold"], &now["capacity"]);
        assert_eq!(told, (&json!(held), &json!(sold), &json!(9)));
        let counts = till.lab.store().live_counts(&[event]).await?;
        assert_eq!((counts[0].capacity, counts[0].free), (9, 4));
        let (_, own) = buyer.get(&format!("/metrics/{}", buyer.id)).await?;
        assert_eq!((&own["heldPlaces"], &own["soldPlaces"]), (&json!(held), &json!(sold)));
        Ok(())
    };
    assert_places(5, 0).await?;
    till.until(&purchase, "expiring").await;
    assert_places(5, 0).await?;
    till.bank.pay(&purchase.reference);
    till.bank.set_away(false);
    till.until(&purchase, "paid").await;
    assert_places(0, 5).await?;
    assert_invariants(till.lab.store(), event).await
}

#[tokio::test]
async fn a_provider_that_stays_away_does_not_keep_seats_for_ever() -> TestResult {
    let words = ["--payment-limit-seconds=1", "--payment-grace-seconds=2"];
    let till = Till::open_with(Bank::transfers(), &[], &words).await?;
    let [buyer, next]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let purchase = till.buy(&buyer, &till.seats[..1]).await?;
    till.bank.set_away(true);
    till.until(&purchase, "expired").await;
    // At once, after a second, and when its time is over; and then by the poll, which has it closed.
    let asked = till.bank.calls(Ask::Expire);
    assert!((2..=5).contains(&asked), "asked {asked} times, and not at every look");
    till.until_seat(0, "available").await;
    till.fill(&next, &till.seats[..1]).await?;
    // It was paid on the page that could not be closed, and no webhook ever comes: the poll finds it.
    till.bank.pay(&purchase.reference);
    till.bank.set_away(false);
    till.until_given_back(1_000).await;
    assert_eq!(till.status(&purchase).await?, "expired");
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_page_that_the_provider_cannot_close_keeps_no_seat_beyond_the_time_to_pay() -> TestResult {
    // Longer than anybody here waits: it is for a provider that does not answer.
    let words = ["--payment-limit-seconds=3", "--payment-grace-seconds=600"];
    let till = Till::open_with(Bank::transfers(), &[], &words).await?;
    till.bank.keep_pages();
    let [one, two, next]: [_; 3] = till.lab.shoppers(3).await?.try_into().map_err(|_| "three shoppers")?;
    let free = till.buy(&one, &till.seats[..1]).await?;
    let gone = till.buy(&two, &till.seats[1..2]).await?;
    for (at, purchase) in [&free, &gone].into_iter().enumerate() {
        till.until(purchase, "expired").await;
        till.until_seat(at, "available").await;
        assert_eq!(till.bank.state(&purchase.reference).status, PaymentStatus::Open);
    }
    till.fill(&next, &till.seats[1..2]).await?;
    // Both pay all the same: one finds the seat free, the other has the money back.
    for purchase in [&free, &gone] {
        assert_eq!(till.pay(purchase).await?, StatusCode::OK);
    }
    assert_eq!((till.status(&free).await?.as_str(), till.status(&gone).await?.as_str()), ("paid", "expired"));
    till.until_given_back(1_000).await;
    till.until_books_agree().await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn those_who_stand_by_have_the_seats_of_an_order_that_was_not_paid() -> TestResult {
    let till = Till::open_with(Bank::cards(), &[], &["--payment-limit-seconds=2"]).await?;
    let [buyer, next]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    till.buy(&buyer, &till.seats).await?;
    let job = next.book(till.event, json!({"quantity": 2, "standby": true})).await?;
    eventually("the next one stands by", async || {
        next.status(&job).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
    assert_eq!(next.outcome(&job).await?["status"], "completed");
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn nobody_stands_by_for_what_is_sold_to_the_last_seat() -> TestResult {
    let till = Till::open(Bank::transfers()).await?;
    let [buyer, next]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let purchase = till.buy(&buyer, &till.seats).await?;
    let job = next.book(till.event, json!({"quantity": 1, "standby": true})).await?;
    eventually("the next one stands by", async || {
        next.status(&job).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
    till.pay(&purchase).await?;
    let outcome = next.outcome(&job).await?;
    assert_eq!(outcome["code"], "sold_out", "{outcome}");
    assert_invariants(till.lab.store(), till.event).await
}
