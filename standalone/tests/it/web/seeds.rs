//! The paths that are given, called as their documents show them: with curl's headers, Basic or Bearer, and no body where
//! none is shown.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, make_event};

type AnyError = Box<dyn std::error::Error>;

/// Every one of these is there, and of this kind.
fn assert_shape(what: &str, answer: &Value, fields: &[(&str, fn(&Value) -> bool)]) {
    for (name, is_good) in fields {
        assert!(is_good(&answer[*name]), "{what}: {name} in {answer}");
    }
}

/// A request with Basic credentials and nothing else.
async fn basic(
    lab: &Lab,
    (login, password): (&str, &str),
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<(StatusCode, Value), AnyError> {
    let mut request =
        lab.http.request(method, format!("{}{path}", lab.system.url)).basic_auth(login, Some(password));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// Somebody who has registered: e-mail address and password.
async fn register(lab: &Lab, name: &str) -> Result<(String, String), AnyError> {
    let (email, password) = (format!("{name}@usher.test"), "long enough".to_owned());
    let registration = json!({
        "email": email, "password": password, "firstName": "Test", "lastName": "Shopper", "consent": true,
    });
    let answer =
        lab.http.post(format!("{}/api/auth/register", lab.system.url)).json(&registration).send().await?;
    assert_eq!(answer.status(), StatusCode::CREATED);
    Ok((email, password))
}

/// `event-seat-booking`: reserve, look, delete, as its curl commands do.
#[tokio::test]
async fn event_seat_booking_is_served_as_shown() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::club(2)).await?;
    sqlx::query("update events set one_booking_each = true").execute(lab.store().pool()).await?;
    let user = lab.shopper().await?;
    let (status, booking) = user
        .post("/api/bookings/reserve", json!({"event_id": event, "user_id": user.id.to_string()}))
        .await?;
    assert_eq!(status, StatusCode::CREATED, "{booking}");
    assert_shape(
        "booking",
        &booking,
        &[
            ("id", Value::is_string),
            ("eventId", Value::is_number),
            ("status", Value::is_string),
            ("createdAt", Value::is_string),
        ],
    );
    let id = booking["id"].as_str().ok_or("id")?;
    let (status, again) = user.post("/api/bookings/reserve", json!({"event_id": event})).await?;
    assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!("already_booked")));
    let (status, shown) = user.get(&format!("/api/events/{event}")).await?;
    assert_eq!(status, StatusCode::OK);
    assert_shape("event", &shown, &[("totalSeats", Value::is_u64), ("availableSeats", Value::is_u64)]);
    assert_eq!(user.get(&format!("/api/bookings/{id}")).await?.0, StatusCode::OK);
    let (status, figures) = user.get(&format!("/metrics/{}", user.id)).await?;
    assert_eq!((status, &figures["total"]), (StatusCode::OK, &json!(1)));
    let (status, gone) = user.call(Method::DELETE, &format!("/api/bookings/{id}"), None).await?;
    assert_eq!((status, &gone["status"]), (StatusCode::OK, &json!("cancelled")));
    for path in ["/health", "/docs/"] {
        let answer = lab.http.get(format!("{}{path}", lab.system.url)).send().await?;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let (first, second) = (lab.shopper().await?, lab.shopper().await?);
    for one in [&user, &first] {
        assert_eq!(
            one.post("/api/bookings/reserve", json!({"event_id": event})).await?.0,
            StatusCode::CREATED
        );
    }
    let (status, full) = second.post("/api/bookings/reserve", json!({"event_id": event})).await?;
    assert_eq!((status, &full["code"]), (StatusCode::CONFLICT, &json!("sold_out")));
    Ok(())
}

/// `queue-based-ticket-booking`: the user's and the admin's endpoints, none with a body.
#[tokio::test]
async fn queue_based_ticket_booking_is_served_as_shown() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let (user, admin) = (lab.shopper().await?, lab.with_role(Role::Admin).await?);
    let (status, queued) = user.call(Method::POST, &format!("/api/bookings/{event}/book"), None).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{queued}");
    assert_shape(
        "queued",
        &queued,
        &[
            ("message", Value::is_string),
            ("jobId", Value::is_string),
            ("queuePosition", Value::is_u64),
            ("estimatedWaitTime", Value::is_string),
            ("statusEndpoint", Value::is_string),
        ],
    );
    let path = queued["statusEndpoint"].as_str().ok_or("path")?;
    let outcome = user.outcome(queued["jobId"].as_str().ok_or("job")?).await?;
    assert_eq!(outcome["status"], "completed");
    assert!(outcome["result"].is_object());
    let nobody: Value = lab.http.get(format!("{}{path}", lab.system.url)).send().await?.json().await?;
    assert_eq!(nobody["status"], "completed", "whoever has the reference may ask");
    for (method, path) in [
        (Method::GET, "/api/admin/queue/stats"),
        (Method::GET, "/api/admin/queue/details"),
        (Method::POST, "/api/admin/queue/pause"),
        (Method::POST, "/api/admin/queue/resume"),
        (Method::POST, "/api/admin/queue/clean"),
    ] {
        assert_eq!(admin.call(method.clone(), path, None).await?.0, StatusCode::OK, "{path}");
        assert_eq!(user.call(method, path, None).await?.0, StatusCode::FORBIDDEN, "{path}");
    }
    let (_, stats) = admin.get("/api/admin/queue/stats").await?;
    assert_shape(
        "stats",
        &stats,
        &[
            ("waiting", Value::is_u64),
            ("active", Value::is_u64),
            ("completed", Value::is_u64),
            ("failed", Value::is_u64),
        ],
    );
    Ok(())
}

/// `high-load-ticket-system`: every path with Basic credentials.
#[tokio::test]
async fn high_load_ticket_system_is_served_as_shown() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let (email, password) = register(&lab, "basic").await?;
    let me = (email.as_str(), password.as_str());
    let (status, events) = basic(&lab, me, Method::GET, "/api/events", None).await?;
    assert_eq!((status, events["items"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)));
    let (status, found) = basic(&lab, me, Method::GET, "/api/events/search?q=test", None).await?;
    assert_eq!((status, found["items"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)), "{found}");
    let (status, booking) =
        basic(&lab, me, Method::POST, "/api/bookings", Some(json!({"event_id": event}))).await?;
    assert_eq!((status, &booking["status"]), (StatusCode::CREATED, &json!("created")));
    let id = &booking["id"];
    let path = format!("/api/seats?event_id={event}&page=1&pageSize=20");
    let (status, listed) = basic(&lab, me, Method::GET, &path, None).await?;
    assert_eq!((status, listed["items"].as_array().map(Vec::len)), (StatusCode::OK, Some(4)));
    for seat in &seats[..2] {
        let selection = json!({"booking_id": id, "seat_id": seat});
        let (status, _) = basic(&lab, me, Method::PATCH, "/api/seats/select", Some(selection)).await?;
        assert_eq!(status, StatusCode::OK);
    }
    let release = json!({"seat_id": seats[1]});
    let (status, _) = basic(&lab, me, Method::PATCH, "/api/seats/release", Some(release)).await?;
    assert_eq!(status, StatusCode::OK);
    let (status, paying) =
        basic(&lab, me, Method::PATCH, "/api/bookings/initiatePayment", Some(json!({"booking_id": id})))
            .await?;
    assert!(status.is_success(), "{status}: {paying}");
    assert_shape("payment", &paying, &[("redirectUrl", Value::is_string), ("orderId", Value::is_string)]);
    let path = format!("/api/bookings/{}/payment-status", id.as_str().ok_or("id")?);
    let (status, state) = basic(&lab, me, Method::GET, &path, None).await?;
    assert_eq!((status, &state["paymentStatus"]), (StatusCode::OK, &json!("open")), "{state}");
    let (status, circuit) =
        basic(&lab, me, Method::GET, "/api/payments/circuit-breaker-status", None).await?;
    assert_eq!((status, &circuit["state"]), (StatusCode::OK, &json!("closed")), "{circuit}");
    let (status, listed) = basic(&lab, me, Method::GET, "/api/bookings", None).await?;
    assert_eq!((status, &listed["items"][0]["id"]), (StatusCode::OK, id));
    let cancel = json!({"booking_id": id});
    let (status, cancelled) = basic(&lab, me, Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?;
    assert_eq!((status, &cancelled["status"]), (StatusCode::OK, &json!("cancelled")), "{cancelled}");
    let webhook = lab.http.post(format!("{}/api/webhook/payment", lab.system.url)).body("{}").send().await?;
    assert!(webhook.status().is_client_error(), "a forged webhook: {}", webhook.status());
    let wrong = (email.as_str(), "wrong password");
    assert_eq!(basic(&lab, wrong, Method::GET, "/api/bookings", None).await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

/// `ticket-booking-flow`: a seat's line, its place, and the pages.
#[tokio::test]
async fn ticket_booking_flow_is_served_as_shown() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let (first, second): (Shopper, Shopper) = (lab.shopper().await?, lab.shopper().await?);
    let path = format!("/tickets/{}/queue", seats[0]);
    let (status, queued) = first.call(Method::POST, &path, None).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_shape("queued", &queued, &[("queueId", Value::is_string), ("queuePosition", Value::is_u64)]);
    let id = queued["queueId"].as_str().ok_or("id")?;
    first.outcome(id).await?;
    let (status, state) = first.get(&format!("/tickets/queue/{id}")).await?;
    assert_eq!((status, &state["status"]), (StatusCode::OK, &json!("completed")));
    let (status, taken) = second.call(Method::POST, &path, None).await?;
    assert_eq!((status, &taken["code"]), (StatusCode::CONFLICT, &json!("seat_taken")));
    let (_, cart) = first.get("/api/cart").await?;
    assert!(cart["items"][0]["seats"][0]["remainingSeconds"].as_i64().is_some_and(|left| left > 0));
    for page in ["/concerts".to_owned(), format!("/concerts/{event}"), "/cart".to_owned()] {
        let answer = lab.http.get(format!("{}{page}", lab.system.url)).send().await?;
        assert_eq!(answer.status(), StatusCode::OK, "{page}");
        assert!(answer.text().await?.to_lowercase().contains("<!doctype html"), "{page}");
    }
    let (status, order) = first.call(Method::POST, "/api/cart/checkout", None).await?;
    assert!(status.is_success(), "{status}: {order}");
    assert_shape("order", &order, &[("redirectUrl", Value::is_string), ("orderId", Value::is_string)]);
    Ok(())
}
