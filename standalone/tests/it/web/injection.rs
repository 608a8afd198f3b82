//! Words that would end a statement, if statements were made of words: they are text in every place that takes text.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::EventId;

use crate::lab::{EventPlan, Lab, PASSWORD, Shopper, TestResult, make_event};

type AnyError = Box<dyn std::error::Error>;

const ATTACKS: [&str; 7] = [
    "'; drop table users; --",
    "' or '1'='1",
    "\" or 1=1 --",
    "1; truncate bookings cascade; --",
    "\\'; delete from seat_claims; --",
    "1 union select password_hash from users",
    "'||pg_sleep(9)||'",
];
/// Shorter than any of them would sleep.
const AT_ONCE: Duration = Duration::from_secs(6);

/// As a part of a URL.
fn encoded(text: &str) -> String {
    text.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).map(char::from).collect()
}

/// How much there is: tables, people, events, bookings, claims.
async fn inventory(lab: &Lab) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "select unnest(array[
             (select count(*) from pg_tables where schemaname = 'public' and tablename !~ '^audit_log'),
             (select count(*) from users),
             (select count(*) from events), (select count(*) from bookings), (select count(*) from seat_claims)])",
    )
    .fetch_all(lab.store().pool())
    .await
}

/// Asks; what comes back is told at once and is no fault of ours.
async fn ask(
    caller: &Shopper,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<(u16, Value), AnyError> {
    let begun = Instant::now();
    let (status, answer) = caller.call(method, path, body).await?;
    assert!(!status.is_server_error(), "{path}: {status} {answer}");
    assert!(begun.elapsed() < AT_ONCE, "{path} took {:?}", begun.elapsed());
    Ok((status.as_u16(), answer))
}

/// Every path that takes text, with what stands for the text as `{}`, and the status that it is answered with.
fn reads(event: EventId) -> Vec<(String, u16)> {
    let seats = format!("/api/seats?event_id={event}&row={{}}");
    let feed = format!("/api/admin/queue/events?eventId={event}&after={{}}");
    let paths = [
        ("/api/events?artist={}", 200),
        ("/api/events?genre={}", 200),
        ("/api/events?city={}", 200),
        ("/api/events?date_from={}", 422),
        ("/api/events?date_to={}", 422),
        ("/api/events?page={}", 400),
        ("/api/events/archive?artist={}", 200),
        ("/api/events/search?q={}", 200),
        (seats.as_str(), 200),
        ("/api/seats?event_id={}", 400),
        ("/api/events/{}", 404),
        ("/api/events/{}/seatmap", 404),
        ("/api/bookings/{}", 404),
        ("/api/bookings/{}/payment-status", 404),
        ("/api/bookings/status/{}", 400),
        ("/tickets/queue/{}", 400),
        ("/api/orders/{}", 404),
        ("/api/tickets/{}", 404),
        ("/metrics/{}", 404),
        ("/api/admin/users?q={}", 200),
        ("/api/admin/users?role={}", 400),
        ("/api/admin/audit?action={}", 200),
        ("/api/admin/audit?object={}", 200),
        ("/api/admin/errors?process={}&code={}", 200),
        ("/api/admin/artists?name={}", 200),
        ("/api/admin/venues?name={}", 200),
        ("/api/admin/layouts?venueId={}", 400),
        (feed.as_str(), 422),
        ("/api/admin/queue/details?eventId={}", 400),
    ];
    paths.map(|(path, status)| (path.to_owned(), status)).to_vec()
}

#[tokio::test]
async fn what_is_asked_for_is_text_and_finds_nothing() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let (admin, shopper) = (lab.with_role(Role::Admin).await?, lab.shopper().await?);
    let won = shopper.book_seats(event, &seats[..2]).await?;
    assert_eq!(shopper.outcome(&won).await?["status"], "completed");
    let before = inventory(&lab).await?;
    for attack in ATTACKS {
        for (path, expected) in reads(event) {
            let (status, answer) =
                ask(&admin, Method::GET, &path.replace("{}", &encoded(attack)), None).await?;
            assert_eq!(status, expected, "{path} with {attack}: {answer}");
            let found = answer["items"].as_array().map_or(0, Vec::len);
            assert_eq!(found, 0, "{path} with {attack}: {answer}");
        }
    }
    assert_eq!(inventory(&lab).await?, before);
    Ok(())
}

#[tokio::test]
async fn who_logs_in_with_it_is_nobody_and_a_name_that_says_it_is_kept_as_it_is() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let admin = lab.with_role(Role::Admin).await?;
    lab.account("nova").await?;
    let [tables, people, events, bookings, claims] = inventory(&lab).await?[..] else {
        return Err("five figures".into());
    };
    for (nth, attack) in ATTACKS.into_iter().enumerate() {
        for (login, password) in [(attack, attack), ("nova@example.test", attack), (attack, PASSWORD)] {
            assert!(lab.log_in(login, password).await.is_err(), "{login} {password}");
            assert_eq!(lab.basic("/api/account", (login, password)).await?.0, StatusCode::UNAUTHORIZED);
        }
        for (path, body, expected) in [
            ("/api/auth/refresh", json!({"refreshToken": attack}), StatusCode::UNAUTHORIZED),
            ("/api/auth/password/reset", json!({"login": attack}), StatusCode::ACCEPTED),
        ] {
            assert_eq!(lab.send(Method::POST, path, body).await?.0, expected, "{path} with {attack}");
        }
        let person = json!({"email": format!("n{nth}@example.test"), "password": PASSWORD, "firstName": attack,
            "lastName": attack, "consent": true});
        assert_eq!(lab.send(Method::POST, "/api/auth/register", person).await?.0, StatusCode::CREATED);
        let name: String = sqlx::query_scalar("select first_name from users where email = $1")
            .bind(format!("n{nth}@example.test"))
            .fetch_one(lab.store().pool())
            .await?;
        assert_eq!(name, attack);

        let (status, artist) =
            ask(&admin, Method::POST, "/api/admin/artists", Some(json!({"name": attack}))).await?;
        assert_eq!((status, &artist["name"]), (201, &json!(attack)));
        let path = format!("/api/admin/artists?name={}", encoded(attack));
        let (_, found) = ask(&admin, Method::GET, &path, None).await?;
        assert_eq!(found["items"][0]["id"], artist["id"], "found as it is written");
        let rename = Some(json!({"name": attack, "description": attack}));
        let (_, changed) = ask(&admin, Method::PATCH, &format!("/api/admin/events/{event}"), rename).await?;
        assert_eq!((&changed["name"], &changed["description"]), (&json!(attack), &json!(attack)));
        let pause = Some(json!({"eventId": event, "message": attack}));
        assert_eq!(ask(&admin, Method::POST, "/api/admin/queue/pause", pause).await?.0, 200);
    }
    let more = i64::try_from(ATTACKS.len())?;
    assert_eq!(inventory(&lab).await?, [tables, people + more, events, bookings, claims]);
    Ok(())
}
