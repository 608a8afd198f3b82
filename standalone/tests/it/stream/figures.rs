//! Live figures and the audit log, from what really happens.

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::EventId;
use uuid::Uuid;

use super::tell;
use crate::lab::{EventPlan, Lab, ProviderBook, Shopper, TestResult, eventually, make_event};

#[tokio::test]
async fn figures_follow_bookings_releases_payments_and_refunds() -> TestResult {
    figures_follow(Lab::start().await?).await
}

#[tokio::test]
async fn figures_follow_on_a_cluster_too() -> TestResult {
    figures_follow(Lab::start_on_cluster().await?).await
}

/// Bookings made at the end of the minute that began ten minutes ago, and that minute.
async fn made_before(
    lab: &Lab,
    event: EventId,
    count: i32,
) -> Result<(DateTime<Utc>, Vec<Uuid>), sqlx::Error> {
    let rows: Vec<(DateTime<Utc>, Uuid)> = sqlx::query_as(
        "insert into bookings (id, event_id, user_id, status, created_at, closed_at)
         select gen_random_uuid(), $1, 0, 'cancelled',
             date_trunc('minute', now()) - interval '10 minutes' + interval '59.9 seconds', now()
         from generate_series(1, $2) returning date_trunc('minute', created_at), id",
    )
    .bind(event.0)
    .bind(count)
    .fetch_all(lab.store().pool())
    .await?;
    let minute = rows.first().map(|row| row.0).unwrap_or_default();
    Ok((minute, rows.into_iter().map(|row| row.1).collect()))
}

async fn figures_follow(lab: Lab) -> TestResult {
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(2, 10)).await?;
    let shoppers = lab.shoppers(4).await?;
    for (shopper, seats) in shoppers.iter().zip(seats.chunks(2)) {
        let job = shopper.book_seats(event, seats).await?;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    }
    let (_, cart) = shoppers[3].get("/api/cart").await?;
    let body = json!({"bookingId": cart["items"][0]["id"]});
    assert_eq!(
        shoppers[3].call(reqwest::Method::PATCH, "/api/bookings/cancel", Some(body)).await?.0,
        StatusCode::OK
    );
    // Four bookings that were made ten minutes ago, at the end of a minute, and are told of only now.
    let (minute, made) = made_before(&lab, event, 4).await?;
    let told: Vec<Value> = made.iter().map(|id| json!({"bookingId": id, "userId": shoppers[0].id})).collect();
    tell(lab.store(), event, "booking.created", &told).await?;
    // Two of them are paid now, as one order.
    let order = "00000000-0000-7000-8000-0000000000aa";
    let paid = json!({"orderId": order, "userId": shoppers[0].id, "places": 2, "bookingIds": made[..2],
        "amount": {"amount": 2_000, "currency": "EUR"}});
    // A second payment of the same order is given back by itself and counts no second time.
    tell(lab.store(), event, "payment.completed", std::slice::from_ref(&paid)).await?;
    tell(lab.store(), event, "payment.completed", &[paid]).await?;
    let returned = json!({"orderId": order, "userId": shoppers[0].id, "places": 1,
        "amount": {"amount": 1_000, "currency": "EUR"}});
    tell(lab.store(), event, "order.refunded", &[returned]).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let mut report = Value::Null;
    eventually("all is counted", async || {
        let Ok((_, answer)) = operator.get(&format!("/api/admin/events/{event}/figures")).await else {
            return false;
        };
        report = answer;
        let total = &report["total"];
        total["reserved"] == 8
            && total["released"] == 2
            && total["refunded"] == 1
            && total["bookings"] == 8
            && total["ordersPaid"] == 1
    })
    .await;
    let total = &report["total"];
    assert_eq!(
        (&total["bookingsPaid"], &total["sold"], &total["conversion"]),
        (&json!(2), &json!(2), &json!(0.25))
    );
    assert_eq!(total["revenue"], json!([{"amount": 2_000, "currency": "EUR"}]));
    assert_eq!(total["returned"], json!([{"amount": 1_000, "currency": "EUR"}]));
    let standing = &report["events"][0];
    assert_eq!(
        (&standing["held"], &standing["sold"], &standing["capacity"]),
        (&json!(6), &json!(0), &json!(20))
    );
    let by_minute = report["minutes"].as_array().ok_or("minutes")?;
    let sum: i64 = by_minute.iter().filter_map(|minute| minute["reserved"].as_i64()).sum();
    assert_eq!(sum, 8, "minutes add up: {report}");
    let (then, since): (Vec<&Value>, Vec<&Value>) =
        by_minute.iter().partition(|figures| figures["at"] == json!(minute));
    assert_eq!(then.len(), 1, "{report}");
    assert_eq!(
        (&then[0]["bookings"], &then[0]["bookingsPaid"], &then[0]["ordersPaid"], &then[0]["conversion"]),
        (&json!(4), &json!(2), &json!(0), &json!(0.5)),
        "in the minute in which they were made"
    );
    // Of what is made since nothing is paid, whatever is paid meanwhile.
    let share = |figures: &&Value| figures["conversion"].as_f64().unwrap_or(0.0);
    assert!(since.iter().map(share).sum::<f64>() < 0.001, "{report}");
    let orders: i64 = since.iter().filter_map(|figures| figures["ordersPaid"].as_i64()).sum();
    assert_eq!(orders, 1, "the order counts when it was paid");
    let (_, all) = operator.get("/api/admin/figures").await?;
    assert_eq!((&all["total"], &all["events"][0]["eventId"]), (total, &json!(event)));
    Ok(())
}

#[tokio::test]
async fn figures_are_for_operators_and_for_times_that_make_sense() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let (shopper, operator) = (lab.shopper().await?, lab.with_role(Role::Operator).await?);
    for path in [
        "/api/admin/figures".to_owned(),
        format!("/api/admin/events/{event}/figures"),
        "/api/admin/stream".to_owned(),
    ] {
        assert_eq!(shopper.get(&path).await?.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(operator.get(&path).await?.0, StatusCode::OK, "{path}");
    }
    let (status, empty) = operator.get(&format!("/api/admin/events/{event}/figures")).await?;
    assert_eq!((status, &empty["total"]["bookings"]), (StatusCode::OK, &json!(0)));
    assert!(empty["total"]["conversion"].is_null(), "nobody has come yet");
    assert_eq!(operator.get("/api/admin/events/999999/figures").await?.0, StatusCode::NOT_FOUND);
    for (from, to, status) in [
        ("2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z", StatusCode::OK),
        ("2026-01-01T00:00:00Z", "2026-01-08T00:00:01Z", StatusCode::UNPROCESSABLE_ENTITY),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", StatusCode::UNPROCESSABLE_ENTITY),
        ("yesterday", "2026-01-01T00:00:00Z", StatusCode::BAD_REQUEST),
    ] {
        let answer = operator.get(&format!("/api/admin/figures?from={from}&to={to}")).await?;
        assert_eq!(answer.0, status, "{from} to {to}: {}", answer.1);
    }
    Ok(())
}

/// Where people are, as their proxy says; providers tell from elsewhere.
const HOME: &str = "203.0.113.8";
const AWAY: &str = "203.0.113.10";

/// Of the audit log: action, object, address, result.
type Line = (String, String, Option<String>, String);

fn line(action: &str, object: String, ip: &str, result: &str) -> Line {
    (action.to_owned(), object, Some(ip.to_owned()), result.to_owned())
}

/// What the audit log says of somebody, as soon as it is so many lines.
async fn audited(lab: &Lab, who: &Shopper, count: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    eventually("all is written down", async || {
        let found = sqlx::query_as(
            "select action, object, host(ip), result from audit_log where user_id = $1 order by action",
        );
        lines = found.bind(who.id.0).fetch_all(lab.store().pool()).await.unwrap_or_default();
        lines.len() >= count
    })
    .await;
    lines
}

#[tokio::test]
async fn purchases_stand_in_the_audit_log() -> TestResult {
    let lab = Lab::start_with(&[], &["--trusted-proxies=127.0.0.1"]).await?;
    let book = ProviderBook::of(&lab)?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let buyer = lab.shopper().await?.coming_from(HOME)?;
    let began = chrono::Utc::now() - chrono::TimeDelta::seconds(1);
    let won = buyer.outcome(&buyer.book(event, json!({"quantity": 1})).await?).await?;
    let booking = won["result"]["bookingId"].as_str().ok_or("a booking")?;
    let (_, bought) = buyer.post("/api/cart/checkout", json!({})).await?;
    let order = bought["orderId"].as_str().ok_or("an order")?;
    let page = bought["redirectUrl"].as_str().ok_or("a page")?;
    assert_eq!(book.choose(page, "sbp").await?, StatusCode::SEE_OTHER);
    let lines = audited(&lab, &buyer, 4).await;
    let payment: uuid::Uuid =
        sqlx::query_scalar("select id from payments").fetch_one(lab.store().pool()).await?;
    let of_order = format!("order {order}, event {event}");
    let expected = [
        line("booking.created", format!("booking {booking}, event {event}"), HOME, "done"),
        line("payment.completed", of_order.clone(), HOME, "done"),
        line("payment.initiated", format!("payment {payment}, {of_order}"), HOME, "done"),
        line("ticket.issued", of_order, HOME, "done"),
    ];
    assert_eq!(lines, expected);
    let timely: i64 = sqlx::query_scalar(
        "select count(*) from audit_log where user_id = $1 and at between $2 and clock_timestamp()",
    )
    .bind(buyer.id.0)
    .bind(began)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(timely, 4, "each with the time at which it happened");
    what_comes_to_nothing_stands_there_too(&lab, event).await
}

async fn what_comes_to_nothing_stands_there_too(lab: &Lab, event: EventId) -> TestResult {
    let shopper = lab.shopper().await?.coming_from(HOME)?;
    let (_, opened) = shopper.post("/api/bookings", json!({"eventId": event})).await?;
    let booking = opened["id"].as_str().ok_or("a booking")?;
    let cancel = json!({"bookingId": booking});
    let away = shopper.coming_from(AWAY)?;
    let (status, _) = away.call(reqwest::Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?;
    assert_eq!(status, StatusCode::OK);
    let order = uuid::Uuid::now_v7();
    sqlx::query(
        "insert into orders (id, user_id, currency, total_minor, pay_until, ip)
         values ($1, $2, 'EUR', 1000, now() + interval '1 hour', '203.0.113.9')",
    )
    .bind(order)
    .bind(shopper.id.0)
    .execute(lab.store().pool())
    .await?;
    let told = json!({"orderId": order, "userId": shopper.id});
    tell(lab.store(), event, "payment.failed", &[told]).await?;
    let of_booking = format!("booking {booking}, event {event}");
    let expected = [
        line("booking.cancelled", of_booking.clone(), AWAY, "done"),
        line("booking.created", of_booking, HOME, "done"),
        line("payment.failed", format!("order {order}, event {event}"), "203.0.113.9", "failed"),
    ];
    assert_eq!(audited(lab, &shopper, 3).await, expected, "the last with the order's address");
    Ok(())
}
