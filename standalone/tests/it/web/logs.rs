//! What is logged of people: nothing. A whole process logs all it can while somebody goes every way there is.

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use standalone::settings::Part;

use super::logs_ways::{
    Known, administer, buy, change_all, erase, reset_password, set_up_second_factor, take_along, verify,
};
use crate::lab::{
    DATABASE_PASSWORD, EventPlan, Lab, SECRET, Shopper, TICKET_KEY, TestResult, eventually, free_port,
    make_event,
};

/// What belongs to somebody, each as a word that stands nowhere else.
pub(super) struct Person {
    pub(super) email: &'static str,
    pub(super) phone: &'static str,
    pub(super) login: &'static str,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) password: &'static str,
    pub(super) wrong_password: &'static str,
}

impl Person {
    fn words(&self) -> [(&'static str, &'static str); 7] {
        [
            ("e-mail", self.email),
            ("phone", self.phone),
            ("login", self.login),
            ("first name", self.first_name),
            ("last name", self.last_name),
            ("password", self.password),
            ("wrong password", self.wrong_password),
        ]
    }
}

/// What somebody becomes by and by.
pub(super) const RENEWED: Person = Person {
    email: "okapi.lanternfly@elsewhere.test",
    phone: "+380937719246",
    login: "nightjar-okapi",
    first_name: "Marzipanella",
    last_name: "Thistlewicket",
    password: "saffron-glockenspiel-41",
    wrong_password: "umber-didgeridoo-58",
};

pub(super) const PERSON: Person = Person {
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

/// Registers, logs in rightly and wrongly, looks at the profile, books, refreshes and logs out.
async fn walk(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
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
    known.words.extend([
        ("access token", token),
        ("refresh token", refresh),
        ("next access token", word(&next["accessToken"])),
        ("next refresh token", word(&next["refreshToken"])),
    ]);
    Ok(())
}

/// Whether six digits stand in a line by themselves, not within a number or a time.
fn has_code(line: &str, digits: &str) -> bool {
    line.match_indices(digits).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| line.as_bytes().get(at));
        let after = line.as_bytes().get(at + digits.len());
        !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
            && !after.is_some_and(u8::is_ascii_alphanumeric)
    })
}

#[test]
fn a_code_is_told_from_the_figures_around_it() {
    for line in ["code=123456", r#"{"code":"123456"}"#, "123456", "it is 123456."] {
        assert!(has_code(line, "123456"), "{line}");
    }
    for line in ["2026-11-20T10:00:00.123456Z", "1234567", "job 0123456", "elapsed=1.123456ms", ""] {
        assert!(!has_code(line, "123456"), "{line}");
    }
}

#[tokio::test]
async fn a_whole_way_with_every_log_on_leaves_nothing_of_a_person_in_them() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let log = lab.servers.dir().join("usher.log");
    let mut usher = lab.spawn_whole(port, &log)?;
    lab.until_ready(&url).await;
    let mut known = Known::default();
    walk(&lab, &url, &mut known).await?;
    verify(&lab, &url, &mut known).await?;
    change_all(&lab, &url, &mut known).await?;
    reset_password(&lab, &url, &mut known).await?;
    set_up_second_factor(&lab, &url, &mut known).await?;
    buy(&lab, &url, &mut known).await?;
    administer(&lab, &url, &mut known).await?;
    take_along(&lab, &url, &mut known).await?;
    let written = [
        "TRACE",
        "shopper registered",
        "e-mail address verified by a code",
        "phone was changed by a code",
        "email was changed by a code",
        "login was changed by a code",
        "password reset by a code",
        "second factor taken into use",
        "order is placed",
        "API key made",
        "API key revoked",
        "personal data handed out",
        "password changed",
        "a refresh was answered alike once more",
        "a refresh token was used twice",
        "message account_changed was sent",
        "message order_paid was sent",
    ];
    let stand = |steps: &[&str]| {
        std::fs::read_to_string(&log).is_ok_and(|text| steps.iter().all(|step| text.contains(step)))
    };
    eventually("every step stands in the log", async || stand(&written)).await;
    // Only now, as nobody writes to whom is erased.
    erase(&lab, &url, &mut known).await?;
    eventually("the last step does too", async || stand(&["account erased"])).await;
    usher.kill();
    let text = std::fs::read_to_string(&log)?;
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", PERSON.login, PERSON.password))
    };
    let given = known.words.iter().map(|(name, value)| (*name, value.as_str()));
    let given = given.chain([
        ("basic", basic.as_str()),
        ("signing secret", SECRET),
        ("ticket key", TICKET_KEY),
        ("database password", DATABASE_PASSWORD),
        ("provider's key", lab.sandbox.key.expose_secret()),
        ("webhook secret", lab.sandbox.webhook_secret.expose_secret()),
    ]);
    for (name, value) in PERSON.words().into_iter().chain(RENEWED.words()).chain(given) {
        assert!(value.len() > 8, "{name} was used");
        let found = text.lines().find(|line| line.to_lowercase().contains(&value.to_lowercase()));
        assert!(found.is_none(), "the {name} is in the log: {}", found.unwrap_or_default());
    }
    assert_eq!(known.codes.len(), 7, "codes of every purpose were used");
    for (name, digits) in &known.codes {
        assert_eq!(digits.len(), 6, "{name}");
        let found = text.lines().find(|line| has_code(line, digits));
        assert!(found.is_none(), "the {name} is in the log: {}", found.unwrap_or_default());
    }
    Ok(())
}
