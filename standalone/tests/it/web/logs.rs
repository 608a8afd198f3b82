//! What is logged of people: nothing. A whole process logs all it can while somebody goes the whole way.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

/// What belongs to somebody, each as a word that stands nowhere else.
struct Person {
    email: &'static str,
    phone: &'static str,
    login: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    password: &'static str,
    wrong_password: &'static str,
}

const PERSON: Person = Person {
    email: "quillfeather@mailbox.test",
    phone: "+380671234598",
    login: "zephyrine77",
    first_name: "Quillfeatherine",
    last_name: "Obsidianworth",
    password: "velvet-harmonica-93",
    wrong_password: "crimson-accordion-17",
};

async fn post(
    http: &reqwest::Client,
    url: &str,
    body: &Value,
) -> Result<(StatusCode, Value), reqwest::Error> {
    let answer = http.post(url).json(body).send().await?;
    Ok((answer.status(), answer.json().await.unwrap_or_default()))
}

/// Registers, logs in rightly and wrongly, looks at the profile, books, refreshes and logs out; the secrets it was given.
async fn walk(lab: &Lab, url: &str) -> Result<BTreeMap<&'static str, String>, Box<dyn std::error::Error>> {
    let auth = |path: &str| format!("{url}/api/auth/{path}");
    let http = &lab.http;
    let person = json!({"email": PERSON.email, "phone": PERSON.phone, "login": PERSON.login,
        "firstName": PERSON.first_name, "lastName": PERSON.last_name, "password": PERSON.password, "consent": true});
    let (status, registered) = post(http, &auth("register"), &person).await?;
    assert_eq!(status, StatusCode::CREATED, "{registered}");
    assert_eq!(post(http, &auth("register"), &person).await?.0, StatusCode::CONFLICT);
    let broken = http.post(auth("register")).header("content-type", "application/json");
    broken.body(person.to_string().replace("true", "\"yes\"")).send().await?;
    let wrong = json!({"login": PERSON.login, "password": PERSON.wrong_password});
    assert_eq!(post(http, &auth("login"), &wrong).await?.0, StatusCode::UNAUTHORIZED);
    let right = json!({"login": PERSON.email, "password": PERSON.password});
    let (_, session) = post(http, &auth("login"), &right).await?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (token, refresh) = (word(&session["accessToken"]), word(&session["refreshToken"]));
    let basic = http.get(auth("me")).basic_auth(PERSON.login, Some(PERSON.password)).send().await?;
    assert!(!basic.status().is_server_error());

    let id = serde_json::from_value(session["user"]["userId"].clone())?;
    let shopper = Shopper { id, token: token.clone(), url: url.to_owned(), http: http.clone() };
    assert_eq!(shopper.get("/api/auth/me").await?.0, StatusCode::OK);
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let job = shopper.book_seats(event, &seats[..1]).await?;
    let won = shopper.outcome(&job).await?;
    assert_eq!(won["status"], "completed");
    shopper.get("/api/cart").await?;
    let booking = json!({"bookingId": won["result"]["bookingId"]});
    shopper.call(Method::PATCH, "/api/bookings/cancel", Some(booking)).await?;
    let (_, next) = post(http, &auth("refresh"), &json!({"refreshToken": refresh})).await?;
    shopper.post("/api/auth/logout", json!({})).await?;
    Ok(BTreeMap::from([
        ("access token", token),
        ("refresh token", refresh),
        ("next access token", word(&next["accessToken"])),
        ("next refresh token", word(&next["refreshToken"])),
    ]))
}

#[tokio::test]
async fn a_whole_way_with_every_log_on_leaves_nothing_of_a_person_in_them() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let log = lab.servers.dir().join("usher.log");
    let mut usher = lab.spawn_whole(port, &log)?;
    lab.until_ready(&url).await;
    let secrets = walk(&lab, &url).await?;
    eventually("the log has been written", async || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("logged in"))
    })
    .await;
    usher.kill();
    let text = std::fs::read_to_string(&log)?;
    assert!(text.contains("TRACE") && text.contains("shopper registered"), "everything is logged");
    let person = [
        ("e-mail", PERSON.email),
        ("phone", PERSON.phone),
        ("login", PERSON.login),
        ("first name", PERSON.first_name),
        ("last name", PERSON.last_name),
        ("password", PERSON.password),
        ("wrong password", PERSON.wrong_password),
        ("signing secret", crate::lab::SECRET),
    ];
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", PERSON.login, PERSON.password))
    };
    let given =
        secrets.iter().map(|(name, value)| (*name, value.as_str())).chain([("basic", basic.as_str())]);
    for (name, value) in person.into_iter().chain(given) {
        assert!(value.len() > 8, "{name} was used");
        let found = text.lines().find(|line| line.to_lowercase().contains(&value.to_lowercase()));
        assert!(found.is_none(), "the {name} is in the log: {}", found.unwrap_or_default());
    }
    Ok(())
}
