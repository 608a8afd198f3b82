//! What is kept of somebody: shown to them, handed out, and erased.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::{Role, SharedSecret};
use shared::domain::{BookingId, EventId, UserId};
use uuid::Uuid;

use crate::lab::{
    Bank, EventPlan, Lab, PASSWORD, Shopper, TestResult, Till, assert_invariants, digits_of, eventually,
    make_event,
};

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

/// A new phone number, confirmed by its code.
async fn change_phone(lab: &Lab, nova: &Shopper) -> TestResult {
    // As if by a code: the one of the registration stays open, so that its mail is sent whenever that is.
    sqlx::query("update users set email_verified_at = now() where id = $1")
        .bind(nova.id.0)
        .execute(lab.store().pool())
        .await?;
    let ask = json!({"field": "phone", "value": "+380501234567", "password": PASSWORD});
    let (_, sent) = nova.post("/api/account/changes", ask).await?;
    let id: Uuid = sent["changeId"].as_str().ok_or_else(|| sent.to_string())?.parse()?;
    let confirm = format!("/api/account/changes/{id}/confirm");
    let (status, account) = nova.post(&confirm, json!({"code": digits_of(id)})).await?;
    assert_eq!(status, StatusCode::OK, "{account}");
    Ok(())
}

/// The same person as an operator who has begun with a second factor; its secret.
async fn begin_second_factor(
    lab: &Lab,
    nova: &Shopper,
) -> Result<(Shopper, String), Box<dyn std::error::Error>> {
    sqlx::query("update users set role = 'operator' where id = $1")
        .bind(nova.id.0)
        .execute(lab.store().pool())
        .await?;
    let session = lab.log_in("nova", PASSWORD).await?;
    let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
    let operator = Shopper { token, ..nova.clone() };
    let begin = json!({"password": PASSWORD});
    let (status, begun) = operator.post("/api/account/second-factor", begin).await?;
    assert_eq!(status, StatusCode::OK, "{begun}");
    Ok((operator, begun["secret"].as_str().ok_or("a secret")?.to_owned()))
}

/// The lists of an export.
const KEPT: [&str; 10] = [
    "sessions", "codes", "changes", "bookings", "orders", "requests", "tickets", "messages", "mailbox",
    "audit",
];

#[tokio::test]
async fn all_that_is_kept_of_somebody_is_handed_out_to_them() -> TestResult {
    let till = Till::open(Bank::cards()).await?;
    let lab = &till.lab;
    let nova = lab.account("nova").await?.shopper;
    let purchase = till.buy(&nova, &till.seats[..2]).await?;
    till.pay(&purchase).await?;
    eventually("the tickets are there", async || {
        till.count("select count(*) from tickets").await.is_ok_and(|tickets| tickets == 2)
    })
    .await;
    let path = format!("/api/orders/{}", purchase.order);
    let (_, bought) = nova.get(&path).await?;
    let give_back = json!({"itemIds": [bought["items"][0]["id"]]});
    assert_eq!(nova.post(&format!("{path}/refund"), give_back).await?.0, StatusCode::OK);
    let refused = nova.outcome(&nova.book(till.event, json!({"quantity": 10})).await?).await?;
    assert_eq!(refused["code"], "limit_reached", "two of ten are bought");
    change_phone(lab, &nova).await?;
    let (operator, secret) = begin_second_factor(lab, &nova).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let digits = SharedSecret::from_base32(&secret).ok_or("base 32")?.digits(now)?;
    let (_, confirmed) = operator.post("/api/account/second-factor/confirm", json!({"code": digits})).await?;
    let token = confirmed["session"]["accessToken"].as_str().ok_or_else(|| confirmed.to_string())?.to_owned();
    let nova = Shopper { token, ..operator };
    let has = |data: &Value, list: &str, (field, value): (&str, &str)| {
        data[list].as_array().is_some_and(|rows| rows.iter().any(|row| row[field] == value))
    };
    let mut data = Value::Null;
    eventually("refusals are in the audit log, and the messages were sent", async || {
        data = nova.get("/api/account/export").await.map(|(_, data)| data).unwrap_or_default();
        has(&data, "audit", ("action", "booking.refuse"))
            && ["messages", "mailbox"].into_iter().all(|list| {
                ["code", "order_paid", "account_changed"]
                    .into_iter()
                    .all(|kind| has(&data, list, ("kind", kind)))
            })
    })
    .await;
    for list in KEPT {
        assert!(data[list].as_array().is_some_and(|rows| !rows.is_empty()), "{list}: {data}");
    }
    let given: Vec<&str> = data.as_object().ok_or("an object")?.keys().map(String::as_str).collect();
    assert_eq!(given.len(), KEPT.len() + 3, "each is looked at here: {given:?}");
    assert_eq!(
        (&data["account"]["email"], &data["account"]["phone"]),
        (&json!("nova@example.test"), &json!("+380501234567"))
    );
    assert!(data["consent"]["at"].is_string());
    assert_eq!(data["consent"]["textVersion"], "2026-11");
    assert!(data["secondFactor"]["confirmedAt"].is_string(), "{data}");
    assert_eq!(
        data["sessions"].as_array().map(Vec::len),
        Some(1),
        "those without a second factor have ended"
    );
    assert_eq!(data["codes"][0]["target"], "+380501234567");
    assert_eq!(data["changes"][0]["field"], "phone");
    let order = &data["orders"][0];
    assert_eq!((&order["id"], &order["ip"]), (&json!(purchase.order), &json!("127.0.0.1")));
    assert_eq!(order["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&order["payments"][0]["status"], &order["payments"][0]["amount"]),
        (&json!("captured"), &json!(2_000))
    );
    assert_eq!(order["refunds"][0]["amount"], 1_000);
    assert_eq!(data["tickets"].as_array().map(Vec::len), Some(2));
    let requests = &data["requests"];
    let of_one = |nth: usize| {
        let request = &requests[nth];
        assert!(request["decidedAt"].is_string(), "{requests}");
        (
            request["eventId"].clone(),
            request["status"].clone(),
            request["code"].clone(),
            request["ip"].clone(),
        )
    };
    assert_eq!(
        of_one(0),
        (json!(till.event), json!("failed"), json!("limit_reached"), json!("127.0.0.1")),
        "the latest first"
    );
    assert_eq!(of_one(1), (json!(till.event), json!("completed"), Value::Null, Value::Null));
    assert!(has(&data, "mailbox", ("to", "nova@example.test")));
    assert!(has(&data, "mailbox", ("subject", "Your code")));
    let text = data.to_string();
    for secret in ["argon2", "hash", "Enter this code", secret.as_str()] {
        assert!(!text.contains(secret), "{secret} is in it");
    }
    let (_, of_another) = lab.account("other").await?.shopper.get("/api/account/export").await?;
    for list in ["bookings", "orders", "requests", "tickets", "changes"] {
        assert_eq!(of_another[list], json!([]), "what belongs to others is not in it: {list}");
    }
    Ok(())
}

/// How many rows would still tell of somebody, and messages that are to be sent.
const TRACES: &str = "select (select count(*) from codes where user_id = $1),
    (select count(*) from account_changes where user_id = $1),
    (select count(*) from second_factors where user_id = $1),
    (select count(*) from job_outcomes where user_id = $1 and ip is not null),
    (select count(*) from mailbox where user_id = $1),
    (select count(*) from jobs where queue = 'messages' and finished_at is null)";

#[tokio::test]
async fn an_erased_person_is_gone_and_their_orders_stay() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let account = lab.account("nova").await?;
    let nova = &account.shopper;
    nova.outcome(&nova.book(event, json!({"quantity": 2})).await?).await?;
    let refused = nova.outcome(&nova.book(event, json!({"quantity": 10})).await?).await?;
    assert_eq!(refused["code"], "limit_reached", "two of ten are in the cart");
    change_phone(&lab, nova).await?;
    begin_second_factor(&lab, nova).await?;
    let other = lab.account("other").await?.shopper;
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
    let traces = async |user: UserId| -> Result<[i64; 6], sqlx::Error> {
        let counted: (i64, i64, i64, i64, i64, i64) =
            sqlx::query_as(TRACES).bind(user.0).fetch_one(pool).await?;
        Ok(counted.into())
    };
    eventually("there is something of each, and no message on its way", async || {
        let counted = [traces(nova.id).await, traces(other.id).await];
        let [Ok([found @ .., 0]), Ok([1, 0, 0, 0, 1, 0])] = counted else { return false };
        found.into_iter().all(|rows| rows > 0)
    })
    .await;
    // They wait elsewhere, where nobody is decided.
    let (other_event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": other_event})).await?;
    let waiting = nova.book(other_event, json!({"quantity": 1})).await?;
    let behind = other.book(other_event, json!({"quantity": 1})).await?;
    assert_eq!(erase(PASSWORD).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(traces(nova.id).await?, [0; 6]);
    assert_eq!(other.status(&waiting).await?["code"], "left");
    assert_eq!(traces(other.id).await?, [1, 0, 0, 0, 1, 0], "what is kept of others stays");

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
    operator.post("/api/admin/queue/resume", json!({"eventId": other_event})).await?;
    assert_eq!(other.outcome(&behind).await?["status"], "completed", "the place is somebody's who is there");
    assert_invariants(lab.store(), event).await
}
