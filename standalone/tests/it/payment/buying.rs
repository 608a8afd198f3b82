//! The straight way, and what else shoppers do on it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::pay::PaymentStatus;

use crate::lab::{
    Ask, Bank, Booked, EventPlan, Fault, Lab, ProviderBook, TestResult, Till, UNSWEPT, assert_invariants,
    eventually, make_event,
};

#[tokio::test]
async fn a_cart_becomes_an_order_and_is_paid() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    assert_eq!(purchase.answer["total"], json!({"amount": 2_000, "currency": "EUR"}));
    let left = purchase.answer["remainingSeconds"].as_i64().ok_or("seconds")?;
    assert!((290..=300).contains(&left), "{left}");
    assert_eq!(shopper.get("/api/cart").await?.1["items"], json!([]), "it is no cart any more");
    assert_eq!(till.seat(0).await?, "reserved");
    till.pay(&purchase).await?;
    let (_, order) = shopper.get(&format!("/api/orders/{}", purchase.order)).await?;
    assert!(order["status"] == "paid" || order["status"] == "fulfilled", "{order}");
    assert_eq!(order["paymentStatus"], "captured");
    let item = &order["items"][0];
    assert_eq!(
        (&item["place"], &item["tier"], &item["status"], &item["eventName"]),
        (&json!("Hall, row 1, seat 1"), &json!("One"), &json!("sold"), &json!("Test event"))
    );
    let (_, orders) = shopper.get("/api/orders").await?;
    assert_eq!(orders["items"][0]["items"].as_array().map(Vec::len), Some(2));
    till.until_seat(0, "sold").await;
    let (_, bookings) = shopper.get("/api/bookings").await?;
    assert_eq!(bookings["items"][0]["status"], "paid");
    assert_eq!(bookings["items"][0]["seats"].as_array().map(Vec::len), Some(2));
    let topics: Vec<String> = sqlx::query_scalar("select topic from outbox order by seq")
        .fetch_all(till.lab.store().pool())
        .await?;
    assert_eq!(topics, ["booking.created", "seat.selected", "payment.initiated", "payment.completed"]);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn an_order_is_paid_by_sbp_from_the_cart_to_the_ticket() -> TestResult {
    let lab = Lab::start().await?;
    let book = ProviderBook::of(&lab)?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    shopper.outcome(&shopper.book_seats(event, &seats).await?).await?;
    let (status, order) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let page = order["redirectUrl"].as_str().ok_or("a page")?;
    assert!(page.starts_with(&lab.sandbox.url), "the provider's page, not ours: {page}");
    assert_eq!(book.choose(page, "sbp").await?, StatusCode::SEE_OTHER);
    assert_eq!(book.choose(page, "sbp").await?, StatusCode::CONFLICT, "it is paid once");
    let count = async |sql: &'static str| -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(sql).fetch_one(lab.store().pool()).await
    };
    // The provider tells by itself; nobody has come back to us.
    eventually("the order is fulfilled", async || {
        count("select count(*) from orders where status = 'fulfilled'").await.is_ok_and(|orders| orders == 1)
    })
    .await;
    eventually("the webhook is marked", async || {
        count("select count(*) from payment_webhooks").await.is_ok_and(|webhooks| webhooks == 1)
    })
    .await;
    assert_eq!(book.money().await?, Booked { taken: 2_000, payments: 1, ..Booked::default() });
    let (_, tickets) = shopper.get("/api/tickets").await?;
    let tickets = tickets["items"].as_array().ok_or("tickets")?;
    assert_eq!(tickets.len(), 2);
    for ticket in tickets {
        assert_eq!((&ticket["status"], &ticket["orderId"]), (&json!("valid"), &order["orderId"]));
        let path = format!("{}/api/tickets/{}/pdf", shopper.url, ticket["id"].as_str().unwrap_or_default());
        let pdf = lab.http.get(path).bearer_auth(&shopper.token).send().await?.bytes().await?;
        assert!(pdf.starts_with(b"%PDF"));
    }
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn one_booking_of_several_can_be_paid_by_itself() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let (club, _, area) = make_event(till.lab.store(), &EventPlan::club(5)).await?;
    let shopper = till.lab.shopper().await?;
    let hall = till.fill(&shopper, &till.seats[..1]).await?;
    let won = shopper.outcome(&shopper.book(club, json!({"quantity": 2, "areaId": area})).await?).await?;
    let standing = won["result"]["bookingId"].clone();
    let initiate = async |booking: &Value| {
        let body = json!({"booking_id": booking});
        shopper.call(Method::PATCH, "/api/bookings/initiatePayment", Some(body)).await
    };
    let (status, order) = initiate(&standing).await?;
    assert_eq!((status, &order["total"]["amount"]), (StatusCode::CREATED, &json!(2_000)));
    let (status, again) = initiate(&standing).await?;
    assert_eq!((status, &again["redirectUrl"]), (StatusCode::OK, &order["redirectUrl"]));
    let (_, cart) = shopper.get("/api/cart").await?;
    assert_eq!((cart["items"].as_array().map(Vec::len), &cart["items"][0]["id"]), (Some(1), &json!(hall)));
    let other = till.lab.shopper().await?;
    let body = json!({"bookingId": hall});
    let (status, _) = other.call(Method::PATCH, "/api/bookings/initiatePayment", Some(body)).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "nobody pays for another one's cart");
    let path = format!("/api/orders/{}", order["orderId"].as_str().unwrap_or_default());
    assert_eq!(other.get(&path).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(other.post(&format!("{path}/cancel"), json!({})).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(other.post(&format!("{path}/pay"), json!({})).await?.0, StatusCode::NOT_FOUND);
    let (status, empty) = other.post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &empty["code"]), (StatusCode::CONFLICT, &json!("cart_empty")));
    let reference = till.bank.sessions()[0].reference.clone();
    let state = till.bank.pay(&reference);
    till.tell("paid", &state).await?;
    let sold = "select count(*) from area_claims where status = 'sold'";
    assert_eq!(till.count(sold).await?, 2);
    assert_invariants(till.lab.store(), club).await?;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn what_costs_nothing_is_paid_at_once_and_prices_in_two_currencies_are_two_orders() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    till.fill(&shopper, &till.seats[..1]).await?;
    let (club, _, area) = make_event(till.lab.store(), &EventPlan::club(5)).await?;
    let reprice = async |sql: &'static str| sqlx::query(sql).execute(till.lab.store().pool()).await;
    reprice("update price_tiers set currency = 'USD' where id = (select max(id) from price_tiers)").await?;
    shopper.outcome(&shopper.book(club, json!({"quantity": 1, "areaId": area})).await?).await?;
    let (status, mixed) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &mixed["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("mixed_currencies")));
    reprice("update price_tiers set price_minor = 0, currency = 'EUR'").await?;
    let (status, free) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!(
        (status, &free["status"], &free["redirectUrl"]),
        (StatusCode::CREATED, &json!("paid"), &Value::Null)
    );
    assert_eq!(till.bank.calls(Ask::Create), 0);
    till.until_seat(0, "sold").await;
    assert_eq!(till.count("select count(*) from jobs where queue = 'tickets'").await?, 1);
    let order = free["orderId"].as_str().ok_or("an order")?;
    let (status, back) = shopper.post(&format!("/api/orders/{order}/refund"), json!({})).await?;
    assert_eq!((status, &back["status"]), (StatusCode::OK, &json!("refunded")), "{back}");
    till.until_seat(0, "available").await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_price_that_changes_while_somebody_holds_a_seat_is_shown_before_it_is_charged_and_none_changes_later()
-> TestResult {
    let till = Till::open_with(Bank::transfers(), UNSWEPT, &[]).await?;
    let (shopper, admin) = (till.lab.shopper().await?, till.lab.with_role(Role::Admin).await?);
    let reprice = async |amount: i64| -> TestResult {
        let body = json!({"tiers": [{"name": "One", "price": {"amount": amount, "currency": "EUR"}}]});
        let path = format!("/api/admin/events/{}", till.event);
        let (status, event) = admin.call(Method::PATCH, &path, Some(body)).await?;
        assert_eq!((status, &event["tiers"][0]["price"]["amount"]), (StatusCode::OK, &json!(amount)));
        Ok(())
    };
    let euros = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    till.fill(&shopper, &till.seats[..2]).await?;
    assert_eq!(shopper.get("/api/cart").await?.1["total"], json!([euros(2_000)]));
    reprice(1_200).await?;
    // At once, however long a gateway goes on with a layout.
    let (_, cart) = shopper.get("/api/cart").await?;
    assert_eq!(
        (&cart["total"], &cart["items"][0]["total"], &cart["items"][0]["seats"][1]["price"]),
        (&json!([euros(2_400)]), &euros(2_400), &euros(1_200))
    );
    let (status, order) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &order["total"]), (StatusCode::CREATED, &euros(2_400)), "{order}");
    // An order has its own prices.
    reprice(5_000).await?;
    let reference = till.bank.sessions()[0].reference.clone();
    assert_eq!(till.bank.state(&reference).amount.amount, 2_400);
    let path = format!("/api/orders/{}", order["orderId"].as_str().unwrap_or_default());
    let all_cost = async |status: &str| -> TestResult {
        let (_, shown) = shopper.get(&path).await?;
        assert_eq!(
            (&shown["total"], &shown["items"][0]["price"]),
            (&euros(2_400), &euros(1_200)),
            "{status}"
        );
        let (_, bookings) = shopper.get("/api/bookings").await?;
        let booking = &bookings["items"][0];
        assert_eq!((&booking["status"], &booking["total"]), (&json!(status), &euros(2_400)));
        Ok(())
    };
    all_cost("pending_payment").await?;
    let paid = till.bank.pay(&reference);
    assert_eq!(till.tell("paid", &paid).await?, StatusCode::OK);
    all_cost("paid").await?;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_decline_keeps_the_hold_and_its_time_and_permits_another_attempt() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    let path = format!("/api/orders/{}/pay", purchase.order);
    let (_, open) = shopper.post(&path, json!({})).await?;
    assert_eq!(open["redirectUrl"], purchase.answer["redirectUrl"], "one open attempt at a time");
    let declined = till.bank.decline(&purchase.reference);
    till.tell("declined", &declined).await?;
    assert_eq!(till.seat(0).await?, "reserved");
    till.bank.fail(Ask::Create, &[Fault::Refused]);
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, again) = shopper.post(&path, json!({})).await?;
    assert_eq!(status, StatusCode::OK, "a fault of the provider's permits another one too: {again}");
    assert_ne!(again["redirectUrl"], purchase.answer["redirectUrl"]);
    assert_eq!(again["payUntil"], purchase.answer["payUntil"], "set once");
    let reference = again["redirectUrl"].as_str().and_then(|url| url.rsplit('/').next()).ok_or("a page")?;
    let paid = till.bank.pay(reference);
    till.tell("paid", &paid).await?;
    assert_eq!(till.status(&purchase).await?, "paid");
    let (status, closed) = shopper.post(&path, json!({})).await?;
    assert_eq!((status, &closed["code"]), (StatusCode::CONFLICT, &json!("order_closed")));
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_refused_capture_undoes_the_order() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    till.bank.fail(Ask::Capture, &[Fault::Refused]);
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    // By whoever asked for the money first: the handler of the provider's word, or the sweeper.
    eventually("the order is undone", async || {
        till.status(&purchase).await.is_ok_and(|status| status == "cancelled")
    })
    .await;
    assert_eq!(till.count("select count(*) from jobs where queue = 'tickets'").await?, 0);
    till.until_seat(0, "available").await;
    // What was set aside is released.
    till.until_given_back(1_000).await;
    let told = "select count(*) from jobs where queue = 'messages' and payload::text like '%order_expired%'";
    assert_eq!(till.count(told).await?, 1);
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn money_that_was_set_aside_is_taken_by_the_next_poll_when_nobody_could() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let [shopper, idler]: [_; 2] = till.lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let purchase = till.buy(&shopper, &till.seats[..1]).await?;
    let idle = till.buy(&idler, &till.seats[1..2]).await?;
    till.bank.fail(Ask::Capture, &[Fault::Lost]);
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    assert_eq!(till.status(&purchase).await?, "paid", "the places are sold before the money is taken");
    assert_eq!(till.bank.state(&purchase.reference).status, PaymentStatus::Authorized);
    assert_invariants(till.lab.store(), till.event).await?;
    let overdue = sqlx::query(
        "update payments set poll_at = clock_timestamp()
             - case when status = 'authorized' then interval '1 second' else interval '1 minute' end",
    );
    assert_eq!(overdue.execute(till.lab.store().pool()).await?.rows_affected(), 2);
    let first = till.lab.store().due_payments(1).await?;
    assert_eq!(first[0].status, "authorized", "it goes before what nobody has paid yet");
    // The time of the other order is over, and the provider lets those wait who close its page.
    till.bank.closing.forget_permits(100_000);
    till.text("update orders set pay_until = clock_timestamp() where id = $1 returning status", &idle.order)
        .await?;
    let _sweeper = till.lab.add(&[standalone::settings::Part::Sweeper]).await?;
    eventually("it is taken", async || {
        till.bank.state(&purchase.reference).status == PaymentStatus::Captured
    })
    .await;
    eventually("the tickets are asked for", async || {
        till.count("select count(*) from jobs where queue = 'tickets'").await.is_ok_and(|jobs| jobs == 1)
    })
    .await;
    assert_eq!(till.status(&idle).await?, "expiring", "orders that end hold up no money");
    till.bank.closing.add_permits(10);
    till.until(&idle, "expired").await;
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_payment_for_a_cancelled_order_goes_back() -> TestResult {
    let till = Till::open(Bank::transfers()).await?;
    let shopper = till.lab.shopper().await?;
    let purchase = till.buy(&shopper, &till.seats[..2]).await?;
    let cancel = json!({"booking_id": purchase.booking});
    let (status, booking) = shopper.call(Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?;
    assert_eq!((status, &booking["status"]), (StatusCode::OK, &json!("cancelled")));
    assert_eq!(till.status(&purchase).await?, "cancelled");
    assert_eq!(till.bank.state(&purchase.reference).status, PaymentStatus::Expired, "its page is closed");
    till.until_seat(0, "available").await;
    assert_eq!(till.pay(&purchase).await?, StatusCode::OK);
    till.until_given_back(2_000).await;
    assert_eq!(till.status(&purchase).await?, "cancelled");
    let path = format!("/api/orders/{}/cancel", purchase.order);
    assert_eq!(shopper.post(&path, json!({})).await?.0, StatusCode::OK, "once more changes nothing");
    assert_invariants(till.lab.store(), till.event).await
}

#[tokio::test]
async fn a_reservation_that_has_run_out_is_not_bought() -> TestResult {
    let till = Till::open_with(Bank::cards(), UNSWEPT, &[]).await?;
    let plan = EventPlan { hold_seconds: 2, ..EventPlan::hall(1, 2) };
    let (event, ..) = make_event(till.lab.store(), &plan).await?;
    let shopper = till.lab.shopper().await?;
    shopper.outcome(&shopper.book(event, json!({"quantity": 2})).await?).await?;
    let lapsed = "select count(*) from seat_claims where expires_at > clock_timestamp()";
    eventually("it has run out", async || till.count(lapsed).await.is_ok_and(|left| left == 0)).await;
    let (status, refused) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("reservation_expired")));
    assert_eq!(till.count("select count(*) from orders").await?, 0);
    let noted = "select count(*) from audit_log
        where action = 'order.refuse' and object = 'cart' and result = 'reservation_expired'
            and user_id is not null and host(ip) = '127.0.0.1'";
    eventually("it is in the audit log", async || till.count(noted).await.is_ok_and(|lines| lines == 1))
        .await;
    Ok(())
}
