//! Whatever is wrong with a request is told by a code of its own, never by a 500, and nothing is half done.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::{AccessTokens, Role};
use shared::domain::{BookingRequest, Envelope, JobRef, JobRefKeys, SeatId};

use crate::lab::{EventPlan, Lab, SECRET, Socket, TestResult, make_event};

#[tokio::test]
async fn every_mistake_has_its_own_code() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, area) =
        make_event(lab.store(), &EventPlan { standing: 5, ..EventPlan::hall(1, 4) }).await?;
    let (_, foreign, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let shopper = lab.shopper().await?;
    let book = format!("/api/bookings/{event}/book");
    let many: Vec<i64> = (1..=1_000).collect();
    let nowhere = "/api/bookings/999999/book";
    let cases: Vec<(Method, &str, Value, u16, &str)> = vec![
        (Method::POST, &book, json!({"seatIds": []}), 422, "validation"),
        (Method::POST, &book, json!({"seatIds": many}), 422, "validation"),
        (Method::POST, &book, json!({"seatIds": [seats[0], seats[0]]}), 422, "validation"),
        (Method::POST, &book, json!({"seatIds": [foreign[0]]}), 422, "seat_of_other_event"),
        (Method::POST, &book, json!({"seatIds": [-5]}), 422, "seat_of_other_event"),
        (Method::POST, &book, json!({"quantity": 0}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": 1_000}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": -1}), 400, "bad_json"),
        (Method::POST, &book, json!({"quantity": 1, "seatIds": [seats[0]]}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": 1, "tierId": 999_999}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": 1, "sectionId": 999_999}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": 1, "areaId": area + 999}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": 1, "areaId": area, "fallback": "any"}), 422, "validation"),
        (Method::POST, &book, json!({"seatIds": [seats[0]], "tierId": 1}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": 1, "areaId": area, "adjacent": true}), 422, "validation"),
        (Method::POST, &book, json!({"quantity": "two"}), 400, "bad_json"),
        (Method::POST, &book, json!([1, 2]), 400, "bad_json"),
        (Method::POST, nowhere, json!({"quantity": 1}), 404, "not_found"),
        (Method::POST, "/api/bookings/abc/book", json!({"quantity": 1}), 404, "not_found"),
        (Method::POST, "/tickets/999999/queue", Value::Null, 404, "not_found"),
        (Method::POST, "/api/bookings", json!({"eventId": 999_999}), 404, "not_found"),
        (Method::PATCH, "/api/seats/select", json!({"seatId": 999_999}), 404, "not_found"),
        (Method::PATCH, "/api/seats/release", json!({"seatId": seats[0]}), 404, "not_found"),
        (Method::PATCH, "/api/bookings/cancel", json!({"bookingId": "no id"}), 400, "bad_json"),
        (Method::DELETE, "/api/cart/seats/1", Value::Null, 404, "not_found"),
        (Method::DELETE, "/api/cart/areas/1/slots/1", Value::Null, 404, "not_found"),
        (Method::GET, "/api/seats?event_id=999999", Value::Null, 404, "not_found"),
        (Method::GET, "/api/seats", Value::Null, 400, "bad_request"),
        (Method::GET, "/api/seats?event_id=1&status=odd", Value::Null, 400, "bad_request"),
        (Method::GET, "/api/events?pageSize=100000", Value::Null, 422, "validation"),
        (Method::GET, "/api/events/0", Value::Null, 404, "not_found"),
        (Method::GET, "/api/bookings/status/forged", Value::Null, 400, "bad_job_reference"),
        (Method::DELETE, "/api/bookings/queue/forged", Value::Null, 400, "bad_job_reference"),
        (Method::GET, "/nowhere", Value::Null, 404, "not_found"),
        (Method::GET, "/ws", Value::Null, 400, "bad_request"),
        (Method::POST, "/ws", Value::Null, 405, "method_not_allowed"),
        (Method::DELETE, "/api/events", Value::Null, 405, "method_not_allowed"),
        (Method::GET, "/api/admin/queue/stats", Value::Null, 403, "forbidden"),
    ];
    for (method, path, body, status, code) in cases {
        let what = format!("{method} {path} {body:.80}");
        let body = Some(body).filter(|body| !body.is_null());
        let (answered, problem) = shopper.call(method, path, body).await?;
        assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{what}: {problem}");
        for field in ["type", "title", "detail", "requestId"] {
            assert!(problem[field].is_string(), "{what}: {field} is missing in {problem}");
        }
        assert_eq!(problem["status"], json!(status), "{what}");
    }
    let jobs = lab.system.queue.lane_state(event).await?;
    assert_eq!((jobs.waiting, jobs.completed, jobs.failed), (0, 0, 0), "nothing was queued");
    Ok(())
}

#[tokio::test]
async fn broken_bodies_headers_and_tokens_are_told() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shopper = lab.shopper().await?;
    let url = format!("{}/api/bookings/{event}/book", shopper.url);
    let post = || lab.http.post(&url).bearer_auth(&shopper.token);
    let told = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await?;
        let (status, kind) = (answer.status(), answer.headers().get("content-type").cloned());
        assert_eq!(kind.as_ref().and_then(|kind| kind.to_str().ok()), Some("application/problem+json"));
        let problem: Value = answer.json().await?;
        Ok::<_, reqwest::Error>((status, problem["code"].as_str().unwrap_or_default().to_owned()))
    };
    let json = "application/json";
    let check = |answer: (StatusCode, String), status: u16, code: &str| {
        assert_eq!((answer.0.as_u16(), answer.1.as_str()), (status, code));
    };
    check(told(post().header("content-type", json).body("{\"quantity\": ")).await?, 400, "bad_json");
    check(told(post().header("content-type", json).body(" ".repeat(100_000))).await?, 413, "body_too_large");
    check(told(post().header("content-type", "text/plain").body("{}")).await?, 415, "unsupported_media_type");
    let long = "k".repeat(129);
    check(
        told(post().header("Idempotency-Key", long).json(&json!({"quantity": 1}))).await?,
        400,
        "bad_request",
    );
    check(told(lab.http.post(&url).json(&json!({"quantity": 1}))).await?, 401, "unauthenticated");
    check(
        told(lab.http.post(&url).bearer_auth("nonsense").json(&json!({"quantity": 1}))).await?,
        401,
        "unauthenticated",
    );
    let basic = lab.http.post(&url).header("authorization", "Nonsense x").json(&json!({"quantity": 1}));
    check(told(basic).await?, 401, "unauthenticated");
    let foreign = AccessTokens::new(&["another secret, just as long as it must be".to_owned().into()], 60);
    let forged = foreign.sign(shopper.id, Role::Admin)?;
    check(
        told(lab.http.post(&url).bearer_auth(forged).json(&json!({"quantity": 1}))).await?,
        401,
        "unauthenticated",
    );
    let brief = AccessTokens::new(&[SECRET.to_owned().into()], 0).sign(shopper.id, Role::Shopper)?;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    check(
        told(lab.http.post(&url).bearer_auth(brief).json(&json!({"quantity": 1}))).await?,
        401,
        "token_expired",
    );
    Ok(())
}

#[tokio::test]
async fn references_of_others_and_of_yesterday_do_nothing() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shopper = lab.shopper().await?;
    let envelope = Envelope {
        owner: shopper.id,
        nonce: 1,
        is_keyed: false,
        ip: None,
        request: BookingRequest::named(vec![SeatId(1)], false)?,
    };
    let job = JobRef { event, number: 1, expires_s: 1, envelope };
    let expired = JobRefKeys::new(&[SECRET.as_bytes()]).sign(&job);
    let mut socket = Socket::open(&shopper).await?;
    for (method, path) in [(Method::GET, "status"), (Method::DELETE, "queue")] {
        let (status, problem) =
            shopper.call(method, &format!("/api/bookings/{path}/{expired}"), None).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::GONE, &json!("job_expired")));
    }
    socket.say(json!({"type": "subscribe", "jobId": expired})).await?;
    assert_eq!(socket.until("error").await?["code"], "job_expired");
    let other = lab.shopper().await?;
    let theirs = other.book(event, json!({"quantity": 1})).await?;
    other.outcome(&theirs).await?;
    let (status, problem) =
        shopper.call(Method::DELETE, &format!("/api/bookings/queue/{theirs}"), None).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("not_owner")));
    let forged = JobRefKeys::new(&[b"another secret"]).sign(&JobRef { expires_s: u64::MAX, ..job });
    let (status, problem) = shopper.get(&format!("/api/bookings/status/{forged}")).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_job_reference")));
    assert_eq!(lab.system.queue.lane_state(event).await?.waiting, 0, "nothing was put into the lane");
    Ok(())
}
