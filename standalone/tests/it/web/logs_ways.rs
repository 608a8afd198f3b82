//! The ways that somebody goes while everything is logged, and what must not stand in the logs afterwards.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::{Role, SharedSecret};
use shared::shop::accounts::KEY_PREFIX;
use uuid::Uuid;

use super::logs::{PERSON, RENEWED};
use crate::lab::{EventPlan, Lab, Shopper, TestResult, digits_of, eventually, make_event, wrong};

/// A card that is sent to the provider's page alone; webhooks speak of it, which no provider of ours should do.
const CARD: &str = "4929381332664295";
const CARD_IN_GROUPS: &str = "4929 3813 3266 4295";

/// The password after the one that was set by a code.
const LAST_PASSWORD: &str = "periwinkle-theremin-36";

/// What must not be logged, by its name.
#[derive(Default)]
pub(super) struct Known {
    /// Words that stand nowhere else.
    pub(super) words: Vec<(&'static str, String)>,
    /// Six digits each.
    pub(super) codes: Vec<(&'static str, String)>,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A log-in at the process.
async fn log_in(lab: &Lab, url: &str, body: Value, known: &mut Known) -> Fallible<Shopper> {
    let answer = lab.http.post(format!("{url}/api/auth/login")).json(&body).send().await?;
    let session: Value = answer.error_for_status()?.json().await?;
    let token = note_tokens(&session, known);
    let id = serde_json::from_value(session["user"]["userId"].clone())?;
    Ok(Shopper { id, token, url: url.to_owned(), http: lab.http.clone() })
}

/// Notes the tokens of a session; the access token.
fn note_tokens(session: &Value, known: &mut Known) -> String {
    let word = |field: &str| session[field].as_str().unwrap_or_default().to_owned();
    known.words.extend([("access token", word("accessToken")), ("refresh token", word("refreshToken"))]);
    word("accessToken")
}

/// The digits of the latest code for a purpose, which are remembered.
async fn digits(lab: &Lab, purpose: &'static str, known: &mut Known) -> Fallible<String> {
    let digits = digits_of(lab.latest_code(purpose).await?.ok_or(purpose)?.0);
    known.codes.push((purpose, digits.clone()));
    Ok(digits)
}

/// Verifies the e-mail address: a wrong code, another one, the right one.
pub(super) async fn verify(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    let right = json!({"login": PERSON.email, "password": PERSON.password});
    let shopper = log_in(lab, url, right, known).await?;
    let confirm = "/api/account/verification/confirm";
    let first = digits(lab, "verify", known).await?;
    assert_eq!(shopper.post(confirm, json!({"code": wrong(&first)})).await?.1["code"], "bad_code");
    assert_eq!(shopper.post("/api/account/verification", json!({})).await?.0, StatusCode::ACCEPTED);
    let second = digits(lab, "verify", known).await?;
    let (status, account) = shopper.post(confirm, json!({"code": second})).await?;
    assert_eq!((status, &account["emailVerified"]), (StatusCode::OK, &json!(true)), "{account}");
    Ok(())
}

/// Changes the names, and by codes, wrong and right ones, all that takes a code.
pub(super) async fn change_all(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    let right = json!({"login": PERSON.login, "password": PERSON.password});
    let shopper = log_in(lab, url, right, known).await?;
    let names = json!({"firstName": RENEWED.first_name, "lastName": RENEWED.last_name, "language": "ru"});
    assert_eq!(shopper.call(Method::PATCH, "/api/account", Some(names)).await?.0, StatusCode::OK);
    let refused = json!({"email": RENEWED.email, "firstName": RENEWED.first_name});
    let (status, _) = shopper.call(Method::PATCH, "/api/account", Some(refused)).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for (field, value) in [("phone", RENEWED.phone), ("login", RENEWED.login), ("email", RENEWED.email)] {
        let ask = |password: &str| {
            shopper
                .post("/api/account/changes", json!({"field": field, "value": value, "password": password}))
        };
        assert_eq!(ask(PERSON.wrong_password).await?.0, StatusCode::UNAUTHORIZED);
        let (_, sent) = ask(PERSON.password).await?;
        let id: Uuid = sent["changeId"].as_str().ok_or_else(|| sent.to_string())?.parse()?;
        let path = format!("/api/account/changes/{id}/confirm");
        let code = digits(lab, field, known).await?;
        assert_eq!(shopper.post(&path, json!({"code": wrong(&code)})).await?.1["code"], "bad_code");
        let (status, account) = shopper.post(&path, json!({"code": code})).await?;
        assert_eq!(status, StatusCode::OK, "{account}");
    }
    let change = json!({"currentPassword": RENEWED.wrong_password, "newPassword": RENEWED.password});
    assert_eq!(shopper.post("/api/account/password", change).await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

/// Sets another password by a mailed code.
pub(super) async fn reset_password(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    let reset = format!("{url}/api/auth/password/reset");
    lab.http.post(&reset).json(&json!({"login": RENEWED.email})).send().await?.error_for_status()?;
    let code = digits(lab, "password", known).await?;
    for (code, status) in
        [(wrong(&code), StatusCode::UNPROCESSABLE_ENTITY), (code.as_str(), StatusCode::NO_CONTENT)]
    {
        let body = json!({"login": RENEWED.login, "code": code, "newPassword": RENEWED.password});
        let answer = lab.http.post(format!("{reset}/confirm")).json(&body).send().await?;
        assert_eq!(answer.status(), status);
    }
    Ok(())
}

/// Becomes an operator with a second factor, and logs in by a wrong code and a recovery code.
pub(super) async fn set_up_second_factor(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    let body =
        |code: Option<&str>| json!({"login": RENEWED.login, "password": RENEWED.password, "code": code});
    sqlx::query("update users set role = 'operator' where login = $1")
        .bind(RENEWED.login)
        .execute(lab.store().pool())
        .await?;
    let operator = log_in(lab, url, body(None), known).await?;
    let begin = |password: &str| operator.post("/api/account/second-factor", json!({"password": password}));
    assert_eq!(begin(RENEWED.wrong_password).await?.0, StatusCode::UNAUTHORIZED);
    let (status, begun) = begin(RENEWED.password).await?;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let secret = word(&begun["secret"]);
    let authenticator = SharedSecret::from_base32(&secret).ok_or("base 32")?;
    let code = authenticator.digits(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    known.words.extend([("shared secret", secret), ("authenticator's link", word(&begun["link"]))]);
    known.codes.push(("authenticator's code", code.clone()));
    let confirm = "/api/account/second-factor/confirm";
    assert_eq!(operator.post(confirm, json!({"code": wrong(&code)})).await?.0, StatusCode::UNAUTHORIZED);
    let (status, confirmed) = operator.post(confirm, json!({"code": code})).await?;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    let codes = confirmed["recoveryCodes"].as_array().ok_or("recovery codes")?;
    known.words.extend(codes.iter().map(|code| ("recovery code", word(code))));
    known.words.push(("access token", word(&confirmed["session"]["accessToken"])));
    let refused = lab.http.post(format!("{url}/api/auth/login")).json(&body(Some(&code))).send().await?;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "a code is good once");
    log_in(lab, url, body(codes[0].as_str()), known).await?;
    Ok(())
}

/// Buys a place: the provider's webhook that says so, a forged one and a senseless one all speak of a card.
pub(super) async fn buy(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    known.words.extend([("card", CARD.to_owned()), ("card in groups", CARD_IN_GROUPS.to_owned())]);
    // A shopper again, whose way takes no code.
    sqlx::query("delete from second_factors").execute(lab.store().pool()).await?;
    let right = json!({"login": RENEWED.login, "password": RENEWED.password});
    let shopper = log_in(lab, url, right, known).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let job = shopper.book_seats(event, &seats[..1]).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    let (status, order) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let page = order["redirectUrl"].as_str().ok_or_else(|| order.to_string())?;
    let card = json!({"number": CARD, "shown": CARD_IN_GROUPS, "holder": RENEWED.last_name});
    lab.pay_and_tell_of_card(url, page, &card).await?;
    let path = format!("/api/orders/{}", order["orderId"].as_str().unwrap_or_default());
    eventually("the tickets are there", async || {
        shopper.get(&path).await.is_ok_and(|(_, order)| order["status"] == "fulfilled")
    })
    .await;
    Ok(())
}

/// An admin looks somebody up and gives a key to a service, which uses it until it is revoked; a made-up key is refused.
pub(super) async fn administer(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    let admin = lab.with_role(Role::Admin).await?.at(url);
    let figures = RENEWED.phone.trim_start_matches('+');
    known.words.extend([("admin's token", admin.token.clone()), ("phone's figures", figures.to_owned())]);
    for q in [RENEWED.email, RENEWED.login, &format!("%2B{figures}")] {
        let (status, found) = admin.get(&format!("/api/admin/users?q={q}")).await?;
        assert_eq!((status, &found["items"][0]["email"]), (StatusCode::OK, &json!(RENEWED.email)), "{q}");
    }
    let (service, made) = lab.service(&admin, &["read"]).await?;
    let service = service.at(url);
    let made_up = Shopper { token: format!("{KEY_PREFIX}cinnamon-ocarina-64"), ..service.clone() };
    known.words.extend([("API key", service.token.clone()), ("made-up key", made_up.token.clone())]);
    assert_eq!(service.get("/api/cart").await?.0, StatusCode::OK);
    let by_header = lab.http.get(format!("{url}/api/cart")).header("x-api-key", &service.token);
    assert_eq!(by_header.send().await?.status(), StatusCode::OK);
    assert_eq!(made_up.get("/api/cart").await?.0, StatusCode::UNAUTHORIZED);
    let path = format!("/api/admin/api-keys/{}", made["id"].as_str().ok_or("an id")?);
    assert_eq!(admin.call(Method::DELETE, &path, None).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(service.get("/api/cart").await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

/// Takes along all that is kept, sets another password and goes on with a refresh token, which comes once too often.
pub(super) async fn take_along(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    known.words.push(("last password", LAST_PASSWORD.to_owned()));
    let right = json!({"login": RENEWED.login, "password": RENEWED.password});
    let shopper = log_in(lab, url, right, known).await?;
    let (status, data) = shopper.get("/api/account/export").await?;
    assert_eq!((status, &data["account"]["email"]), (StatusCode::OK, &json!(RENEWED.email)));
    let change = json!({"currentPassword": RENEWED.password, "newPassword": LAST_PASSWORD});
    let (status, session) = shopper.post("/api/account/password", change).await?;
    assert_eq!(status, StatusCode::OK, "{session}");
    note_tokens(&session, known);
    let body = json!({"refreshToken": session["refreshToken"]});
    let refresh = || lab.http.post(format!("{url}/api/auth/refresh")).json(&body).send();
    note_tokens(&refresh().await?.error_for_status()?.json().await?, known);
    assert_eq!(refresh().await?.status(), StatusCode::OK, "the answer could have been lost");
    sqlx::query("update refresh_tokens set used_at = used_at - interval '1 minute'")
        .execute(lab.store().pool())
        .await?;
    assert_eq!(refresh().await?.status(), StatusCode::UNAUTHORIZED, "it was used");
    // As it happens: the password where the name belongs.
    let muddled = json!({"login": LAST_PASSWORD, "password": RENEWED.login});
    let refused = lab.http.post(format!("{url}/api/auth/login")).json(&muddled).send().await?;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}

/// Has everything erased, with a wrong password and the right one.
pub(super) async fn erase(lab: &Lab, url: &str, known: &mut Known) -> TestResult {
    let right = json!({"login": RENEWED.email, "password": LAST_PASSWORD});
    let shopper = log_in(lab, url, right, known).await?;
    let ask =
        |password: &str| shopper.call(Method::DELETE, "/api/account", Some(json!({"password": password})));
    assert_eq!(ask(RENEWED.wrong_password).await?.0, StatusCode::UNAUTHORIZED);
    let (status, answer) = ask(LAST_PASSWORD).await?;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    assert_eq!(shopper.get("/api/account").await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}
