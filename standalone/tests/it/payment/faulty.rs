//! The sandbox's faults against the whole system: whatever goes wrong there, an order is paid once, or cancelled with its
//! seats back.

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::domain::{EventId, SeatId};

use super::Fallible;
use crate::lab::{
    Booked, EventPlan, Lab, ProviderBook, Shopper, TestResult, assert_invariants, eventually, make_event,
};

/// A shop whose payments go to the sandbox.
struct Shop {
    lab: Lab,
    book: ProviderBook,
    event: EventId,
    seats: Vec<SeatId>,
}

/// An order, and its page at the sandbox.
struct Order {
    path: String,
    page: String,
}

impl Order {
    fn of(answer: &Value) -> Fallible<Self> {
        let text = |field: &str| answer[field].as_str().ok_or_else(|| format!("no {field} in {answer}"));
        Ok(Self { path: format!("/api/orders/{}", text("orderId")?), page: text("redirectUrl")?.to_owned() })
    }

    fn session(&self) -> &str {
        self.page.rsplit('/').next().unwrap_or_default()
    }
}

impl Shop {
    async fn open(seats: i32, words: &[&str]) -> Fallible<Self> {
        let lab = Lab::start_with(&[], words).await?;
        let book = ProviderBook::of(&lab)?;
        let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, seats)).await?;
        Ok(Self { lab, book, event, seats })
    }

    /// The seat is in the shopper's cart.
    async fn fill(&self, shopper: &Shopper, seat: usize) -> TestResult {
        let job = shopper.book_seats(self.event, &self.seats[seat..=seat]).await?;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
        Ok(())
    }

    async fn check_out(&self, shopper: &Shopper, status: StatusCode) -> Fallible<Value> {
        let (answered, answer) = shopper.post("/api/cart/checkout", json!({})).await?;
        assert_eq!(answered, status, "{answer}");
        Ok(answer)
    }

    /// So many orders have been paid, once each, and no fault is still to come.
    async fn assert_paid(&self, orders: usize) -> TestResult {
        eventually("all are fulfilled", async || {
            let fulfilled = self.lab.count("select count(*) from orders where status = 'fulfilled'").await;
            fulfilled.is_ok_and(|fulfilled| usize::try_from(fulfilled) == Ok(orders))
        })
        .await;
        assert_eq!(self.book.to_come().await?, 0, "every fault has struck");
        let count = i64::try_from(orders)?;
        let booked = Booked { taken: count * 1_000, payments: orders, ..Booked::default() };
        assert_eq!(self.book.money().await?, booked);
        for sql in [
            "select count(*) from payments where status = 'captured'",
            "select count(*) from outbox where topic = 'payment.completed'",
            "select count(*) from jobs where queue = 'tickets'",
            "select count(*) from tickets where status = 'valid'",
            "select count(*) from seat_claims where status = 'sold'",
        ] {
            assert_eq!(self.lab.count(sql).await?, count, "{sql}");
        }
        assert_eq!(self.lab.count("select count(*) from refunds").await?, 0);
        assert_invariants(self.lab.store(), self.event).await
    }
}

#[tokio::test]
async fn a_webhook_that_comes_after_the_one_that_follows_it_pays_once() -> TestResult {
    let shop = Shop::open(1, &[]).await?;
    let shopper = shop.lab.shopper().await?;
    shop.fill(&shopper, 0).await?;
    let order = Order::of(&shop.check_out(&shopper, StatusCode::CREATED).await?)?;
    let fault = json!({"on": "webhook", "kind": "reorder", "ms": 20_000, "session": order.session()});
    shop.book.order_fault(&fault).await?;
    assert_eq!(shop.book.choose(&order.page, "card").await?, StatusCode::SEE_OTHER);
    // That the money is set aside is not told before it is taken, which follows from asking.
    eventually("a shopper who comes back has it asked", async || {
        shopper.get(&order.path).await.is_ok_and(|(_, order)| order["paymentStatus"] == "captured")
    })
    .await;
    eventually("both have come", async || {
        let webhooks = shop.lab.count("select count(*) from payment_webhooks").await;
        webhooks.is_ok_and(|webhooks| webhooks == 2)
    })
    .await;
    shop.assert_paid(1).await
}

/// No answer to a whole call, with and without its effect: a call is repeated at once after a fault, and not after a time-out.
fn faults() -> [Value; 4] {
    [
        json!({"kind": "status", "status": 503, "done": false, "next": 3}),
        json!({"kind": "status", "status": 500, "done": true, "next": 3}),
        json!({"kind": "hang", "ms": 2_000, "done": false, "next": 1}),
        json!({"kind": "hang", "ms": 2_000, "done": true, "next": 1}),
    ]
}

/// The fault at this point, and at this session only.
fn at(point: &str, session: Option<&str>, fault: &Value) -> Value {
    let mut fault = fault.clone();
    fault["on"] = json!(point);
    if let Some(session) = session {
        fault["session"] = json!(session);
    }
    fault
}

#[tokio::test]
async fn faults_and_time_outs_of_the_provider_end_in_one_payment_or_in_a_cancelled_order() -> TestResult {
    // Its circuit is another matter.
    let words = ["--payment-timeout-ms=1000", "--circuit-breaker-failure-threshold=100"];
    let shop = Shop::open(8, &words).await?;
    let shoppers = shop.lab.shoppers(8).await?;
    let (buyers, leavers) = shoppers.split_at(4);
    for (seat, (buyer, fault)) in buyers.iter().zip(&faults()).enumerate() {
        shop.fill(buyer, seat).await?;
        shop.book.order_fault(&at("create", None, fault)).await?;
        shop.check_out(buyer, StatusCode::SERVICE_UNAVAILABLE).await?;
        let order = Order::of(&shop.check_out(buyer, StatusCode::OK).await?)?;
        shop.book.order_fault(&at("capture", Some(order.session()), fault)).await?;
        assert_eq!(shop.book.choose(&order.page, "card").await?, StatusCode::SEE_OTHER, "{fault}");
    }
    for (seat, (leaver, fault)) in leavers.iter().zip(&faults()).enumerate() {
        shop.fill(leaver, 4 + seat).await?;
        let order = Order::of(&shop.check_out(leaver, StatusCode::CREATED).await?)?;
        shop.book.order_fault(&at("expire", Some(order.session()), fault)).await?;
        let (status, cancelled) = leaver.post(&format!("{}/cancel", order.path), json!({})).await?;
        assert_eq!(
            (status, &cancelled["status"]),
            (StatusCode::OK, &json!("cancelled")),
            "{fault}: {cancelled}"
        );
    }
    let back = "select count(*) from seat_claims where status = 'reserved' and booking_id in (
         select booking_id from order_items i join orders o on o.id = i.order_id where o.status = 'cancelled')";
    assert_eq!(shop.lab.count("select count(*) from orders where status = 'cancelled'").await?, 4);
    assert_eq!(shop.lab.count(back).await?, 0, "their seats are back");
    shop.assert_paid(4).await?;
    // Somebody else has one of them.
    shop.fill(&buyers[0], 4).await?;
    assert_invariants(shop.lab.store(), shop.event).await
}
