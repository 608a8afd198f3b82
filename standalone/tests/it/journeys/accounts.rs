//! What is kept of somebody: shown to them, handed out, and erased.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::{BookingId, EventId, UserId};
use uuid::Uuid;

use crate::lab::{EventPlan, Lab, PASSWORD, TestResult, assert_invariants, make_event};

/// An order of somebody with one ticket for each of these: a ticket's status, and how long ago its event began.
async fn order(
    lab: &Lab,
    user: UserId,
    event: EventId,
    tickets: &[(&str, &str)],
) -> Result<Uuid, Box<dyn std::error::Error>> {
    let pool = lab.store().pool();
    let (order, booking) = (Uuid::now_v7(), BookingId::new().0);
    sqlx::query(
        "insert into orders (id, user_id, status, currency, total_minor, pay_until, paid_at, ip)
         values ($1, $2, 'fulfilled', 'EUR', 1000, now(), now(), '203.0.113.9')",
    )
    .bind(order)
    .bind(user.0)
    .execute(pool)
    .await?;
    for (slot, (status, ago)) in tickets.iter().enumerate() {
        let other: i64 = sqlx::query_scalar(
            "insert into events (venue_id, name, starts_at, sales_open_at, sales_close_at)
             select venue_id, 'A show', now() - $2::text::interval, sales_open_at, sales_close_at from events where id = $1
             returning id",
        )
        .bind(event.0)
        .bind(ago)
        .fetch_one(pool)
        .await?;
        let item = Uuid::now_v7();
        sqlx::query(
            "insert into order_items
                 (id, order_id, booking_id, event_id, area_id, slot, tier_name, place, price_minor, status)
             values ($1, $2, $3, $4, 1, $5, 'Standing', 'Standing', 250, 'sold')",
        )
        .bind(item)
        .bind(order)
        .bind(booking)
        .bind(other)
        .bind(i32::try_from(slot)? + 1)
        .execute(pool)
        .await?;
        sqlx::query(
            "insert into tickets (id, order_item_id, number, event_id, user_id, status, used_at)
             values ($1, $2, $1::text, $3, $4, $5, case when $5 = 'used' then now() end)",
        )
        .bind(Uuid::now_v7())
        .bind(item)
        .bind(other)
        .bind(user.0)
        .bind(status)
        .execute(pool)
        .await?;
    }
    Ok(order)
}

const TICKETS: [(&str, &str); 4] =
    [("valid", "-7 days"), ("used", "2 days"), ("valid", "2 days"), ("cancelled", "-7 days")];

#[tokio::test]
async fn a_shopper_sees_bookings_orders_and_tickets_as_they_stand_now() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let nova = lab.account("nova").await?.shopper;
    let other = lab.account("other").await?.shopper;
    nova.outcome(&nova.book(event, json!({"quantity": 2})).await?).await?;
    let order = order(&lab, nova.id, event, &TICKETS).await?;
    let (status, history) = nova.get("/api/account/history").await?;
    assert_eq!(status, StatusCode::OK, "{history}");
    assert_eq!(
        (&history["bookings"]["total"], &history["bookings"]["items"][0]["status"]),
        (&json!(1), &json!("created"))
    );
    let listed = &history["orders"]["items"][0];
    assert_eq!((&listed["id"], &listed["total"]["amount"]), (&json!(order), &json!(1000)));
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(4));
    assert!(listed["items"][0]["ticketId"].is_string(), "{listed}");
    let mut statuses: Vec<&str> = history["tickets"]["items"]
        .as_array()
        .ok_or("tickets")?
        .iter()
        .filter_map(|ticket| ticket["status"].as_str())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["cancelled", "expired", "used", "valid"]);
    let (_, valid) = nova.get("/api/account/history?ticketStatus=valid").await?;
    assert_eq!(valid["tickets"]["total"], 1);
    let (_, second) = nova.get("/api/account/history?page=2&pageSize=3").await?;
    assert_eq!(second["tickets"]["items"].as_array().map(Vec::len), Some(1));
    let (_, none) = other.get("/api/account/history").await?;
    for kind in ["bookings", "orders", "tickets"] {
        assert_eq!(none[kind]["total"], 0, "what belongs to others is not shown");
    }
    for query in ["page=0", "pageSize=101"] {
        assert_eq!(
            nova.get(&format!("/api/account/history?{query}")).await?.0,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    assert_eq!(nova.get("/api/account/history?ticketStatus=odd").await?.0, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn all_that_is_kept_of_somebody_is_handed_out_to_them() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let nova = lab.account("nova").await?.shopper;
    order(&lab, nova.id, event, &TICKETS).await?;
    nova.post(
        "/api/account/changes",
        json!({"field": "phone", "value": "+380501234567", "password": PASSWORD}),
    )
    .await?;
    let (status, data) = nova.get("/api/account/export").await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(data["account"]["email"], "nova@example.test");
    assert_eq!(data["consent"]["textVersion"], "2026-11");
    assert_eq!(data["orders"][0]["ip"], "203.0.113.9");
    assert_eq!(data["orders"][0]["items"].as_array().map(Vec::len), Some(4));
    assert_eq!(data["tickets"].as_array().map(Vec::len), Some(4));
    assert_eq!(data["codes"][0]["target"], "+380501234567");
    assert_eq!(data["sessions"].as_array().map(Vec::len), Some(1));
    let text = data.to_string();
    assert!(!text.contains("argon2") && !text.contains("hash"), "no secret is in it");
    Ok(())
}

#[tokio::test]
async fn an_erased_person_is_gone_and_their_orders_stay() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let account = lab.account("nova").await?;
    let nova = &account.shopper;
    nova.outcome(&nova.book(event, json!({"quantity": 2})).await?).await?;
    let order = order(&lab, nova.id, event, &TICKETS).await?;
    let erase =
        |password: &str| nova.call(Method::DELETE, "/api/account", Some(json!({"password": password})));
    assert_eq!(erase("not this one").await?.0, StatusCode::UNAUTHORIZED);
    let pool = lab.store().pool();
    sqlx::query("update orders set status = 'awaiting_payment', paid_at = null, pay_until = now() + interval '1 hour'").execute(pool).await?;
    let (status, problem) = erase(PASSWORD).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("payment_under_way")));
    sqlx::query("update orders set status = 'fulfilled', paid_at = now()").execute(pool).await?;
    assert_eq!(lab.basic("/api/cart", ("nova", PASSWORD)).await?.0, StatusCode::OK);
    assert_eq!(erase(PASSWORD).await?.0, StatusCode::NO_CONTENT);

    assert_eq!(nova.get("/api/cart").await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(lab.basic("/api/cart", ("nova", PASSWORD)).await?.0, StatusCode::UNAUTHORIZED);
    assert!(lab.log_in("nova", PASSWORD).await.is_err());
    let refresh = json!({"refreshToken": account.refresh_token});
    assert_eq!(lab.send(Method::POST, "/api/auth/refresh", refresh).await?.0, StatusCode::UNAUTHORIZED);
    let row: String = sqlx::query_scalar("select users::text from users where id = $1")
        .bind(nova.id.0)
        .fetch_one(pool)
        .await?;
    assert!(!row.to_lowercase().contains("nova") && !row.contains("Tester"), "{row}");
    let kept: (String, i64, Option<String>) =
        sqlx::query_as("select status, total_minor, host(ip) from orders where id = $1")
            .bind(order)
            .fetch_one(pool)
            .await?;
    assert_eq!(kept, ("fulfilled".to_owned(), 1000, None), "the order stays, without the person");
    let bookings: Vec<String> = sqlx::query_scalar("select status from bookings where user_id = $1")
        .bind(nova.id.0)
        .fetch_all(pool)
        .await?;
    assert_eq!(bookings, ["cancelled"]);
    let again = lab.account("nova").await?;
    assert_ne!(again.shopper.id, nova.id, "the name is free for a new account");
    let (_, history): (StatusCode, Value) = again.shopper.get("/api/account/history").await?;
    assert_eq!(history["orders"]["total"], 0);
    assert_invariants(lab.store(), event).await
}
