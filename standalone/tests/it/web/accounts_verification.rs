//! The e-mail address that somebody registers with is verified by a code that goes to it.

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::lab::{EventPlan, Lab, PASSWORD, Shopper, TestResult, digits_of, make_event, wrong};

const CONFIRM: &str = "/api/account/verification/confirm";

async fn latest(lab: &Lab) -> Result<String, Box<dyn std::error::Error>> {
    Ok(digits_of(lab.latest_code("verify").await?.ok_or("a code")?.0))
}

async fn is_verified(shopper: &Shopper) -> Result<Value, reqwest::Error> {
    Ok(shopper.get("/api/account").await?.1["emailVerified"].clone())
}

#[tokio::test]
async fn the_code_that_was_sent_at_registration_verifies_the_address() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let nova = lab.account("nova").await?.shopper;
    let (code, target) = lab.latest_code("verify").await?.ok_or("a code")?;
    assert_eq!(target, "nova@example.test");
    assert_eq!(lab.life_of_code(code).await?.0, 600, "ten minutes");
    let messages: i64 = sqlx::query_scalar(
        "select count(*) from jobs where queue = 'messages' and payload::text like '%' || $1 || '%'",
    )
    .bind(code.to_string())
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(messages, 1, "its message was written with it");
    assert_eq!(is_verified(&nova).await?, false);
    let job = nova.book(event, json!({"quantity": 1})).await?;
    assert_eq!(nova.outcome(&job).await?["status"], "completed", "whoever is not verified buys too");

    let digits = digits_of(code);
    let (status, problem) = nova.post(CONFIRM, json!({"code": wrong(&digits)})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_code")));
    let other = lab.account("other").await?.shopper;
    assert_ne!(other.post(CONFIRM, json!({"code": digits})).await?.0, StatusCode::OK, "it is nova's");
    let own_path = format!("/api/account/changes/{code}/confirm");
    assert_eq!(nova.post(&own_path, json!({"code": digits})).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(is_verified(&nova).await?, false);
    let (status, account) = nova.post(CONFIRM, json!({"code": digits})).await?;
    assert_eq!((status, &account["emailVerified"]), (StatusCode::OK, &json!(true)), "{account}");
    assert_eq!(nova.post(CONFIRM, json!({"code": digits})).await?.0, StatusCode::OK, "twice is as once");
    let (status, problem) = nova.post("/api/account/verification", json!({})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("email_verified")));
    let (_, data) = nova.get("/api/account/export").await?;
    assert!(data["account"]["emailVerifiedAt"].is_string(), "{data}");
    Ok(())
}

#[tokio::test]
async fn another_code_takes_the_place_of_the_first_and_not_without_end() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let code = |(status, problem): (StatusCode, Value)| (status, problem["code"].clone());
    let gone = (StatusCode::GONE, json!("code_expired"));
    let first = latest(&lab).await?;
    for _ in 0..5 {
        assert_eq!(
            code(nova.post(CONFIRM, json!({"code": wrong(&first)})).await?),
            (StatusCode::UNPROCESSABLE_ENTITY, json!("bad_code"))
        );
    }
    assert_eq!(code(nova.post(CONFIRM, json!({"code": first})).await?), gone, "five tries");
    let (status, sent) = nova.post("/api/account/verification", json!({})).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{sent}");
    let told: DateTime<Utc> = sent["expiresAt"].as_str().ok_or("until when")?.parse()?;
    let (second, _) = lab.latest_code("verify").await?.ok_or("a code")?;
    assert_eq!(lab.life_of_code(second).await?, (600, told), "ten minutes, as is told");
    sqlx::query("update codes set expires_at = clock_timestamp()").execute(lab.store().pool()).await?;
    assert_eq!(code(nova.post(CONFIRM, json!({"code": latest(&lab).await?})).await?), gone, "its time");
    for nth in 3..=11 {
        let (status, problem) = nova.post("/api/account/verification", json!({})).await?;
        if nth == 11 {
            assert_eq!(
                (status, &problem["code"]),
                (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_requests"))
            );
        } else {
            assert_eq!(status, StatusCode::ACCEPTED, "code {nth}: {problem}");
        }
    }
    let (status, account) = nova.post(CONFIRM, json!({"code": latest(&lab).await?})).await?;
    assert_eq!(status, StatusCode::OK, "the latest is still good: {account}");
    Ok(())
}

#[tokio::test]
async fn a_login_changes_only_by_a_code_to_a_verified_address() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let ask = |field: &str, value: &str| {
        nova.post("/api/account/changes", json!({"field": field, "value": value, "password": PASSWORD}))
    };
    let (status, problem) = ask("login", "supernova").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("email_not_verified")));
    let told = problem["detail"].as_str().unwrap_or_default();
    assert!(told.contains(CONFIRM), "it says what to do: {problem}");
    assert_eq!(lab.latest_code("login").await?, None);

    let (_, sent) = ask("email", "super@example.test").await?;
    let id: Uuid = sent["changeId"].as_str().ok_or_else(|| sent.to_string())?.parse()?;
    let path = format!("/api/account/changes/{id}/confirm");
    let (_, account) = nova.post(&path, json!({"code": digits_of(id)})).await?;
    assert_eq!(account["emailVerified"], true, "the code went to the new address");
    let late = json!({"code": latest(&lab).await?});
    assert_eq!(nova.post(CONFIRM, late).await?.0, StatusCode::OK, "the first code is of no use any more");
    let (status, sent) = ask("login", "supernova").await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{sent}");
    assert_eq!(lab.latest_code("login").await?.ok_or("a code")?.1, "super@example.test");
    Ok(())
}

#[tokio::test]
async fn a_phone_number_changes_only_where_the_address_is_verified() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let ask = |value: &str| {
        nova.post("/api/account/changes", json!({"field": "phone", "value": value, "password": PASSWORD}))
    };
    let (status, problem) = ask("+380501234567").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("email_not_verified")));
    assert_eq!(lab.latest_code("phone").await?, None);
    assert_eq!(lab.count("select count(*) from sent_codes where channel = 'sms'").await?, 0);
    lab.verify(&nova).await?;
    let (status, sent) = ask("+380501234567").await?;
    assert_eq!((status, &sent["channel"]), (StatusCode::ACCEPTED, &json!("sms")), "{sent}");
    assert_eq!(lab.count("select count(*) from sent_codes where channel = 'sms'").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_password_that_was_reset_by_code_verifies_the_address_that_the_code_went_to() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    lab.send(Method::POST, "/api/auth/password/reset", json!({"login": "nova"})).await?;
    let (id, _) = lab.latest_code("password").await?.ok_or("a code")?;
    let reset = json!({"login": "nova", "code": digits_of(id), "newPassword": "a new password"});
    let (status, _) = lab.send(Method::POST, "/api/auth/password/reset/confirm", reset).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let session = lab.log_in("nova", "a new password").await?;
    let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
    assert_eq!(is_verified(&Shopper { token, ..nova }).await?, true);
    Ok(())
}
