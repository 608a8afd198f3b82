//! Changes of an account, told to the e-mail address of before.

use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::{mailbox, until_finished};
use crate::lab::{Lab, PASSWORD, TestResult, digits_of};

const OLD: &str = "nova@example.test";
const NEW: &str = "supernova@elsewhere.test";

/// Field, new value, the hint at it, and what is told.
const CHANGES: [(&str, &str, &str, &str); 3] = [
    ("phone", "+380501234567", "Новий номер: …67", "Номер телефону вашого облікового запису змінено"),
    ("login", "bright-star", "Новий логін: b…", "Логін вашого облікового запису змінено"),
    ("email", NEW, "Нова адреса: s…@elsewhere.test", "Електронну адресу вашого облікового запису змінено"),
];

#[tokio::test]
async fn the_address_of_before_is_told_of_every_change_and_not_the_whole_of_it() -> TestResult {
    let lab = Lab::start_with(&[], &["--mailbox-open=true"]).await?;
    let nova = lab.account("nova").await?.shopper;
    lab.verify(&nova).await?;
    nova.call(Method::PATCH, "/api/account", Some(json!({"language": "uk"}))).await?;
    for (field, value, ..) in CHANGES {
        let ask = json!({"field": field, "value": value, "password": PASSWORD});
        let (_, sent) = nova.post("/api/account/changes", ask).await?;
        let id: Uuid = sent["changeId"].as_str().ok_or_else(|| sent.to_string())?.parse()?;
        let path = format!("/api/account/changes/{id}/confirm");
        let (status, account) = nova.post(&path, json!({"code": digits_of(id)})).await?;
        assert_eq!(status, StatusCode::OK, "{account}");
    }
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another password"});
    assert_eq!(nova.post("/api/account/password", change).await?.0, StatusCode::OK);
    lab.send(Method::POST, "/api/auth/password/reset", json!({"login": NEW})).await?;
    let (code, _) = lab.latest_code("password").await?.ok_or("a code")?;
    let reset = json!({"login": NEW, "code": digits_of(code), "newPassword": "a third password"});
    let (status, _) = lab.send(Method::POST, "/api/auth/password/reset/confirm", reset).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    until_finished(&lab).await;

    let mut told: Vec<(String, String, String)> = Vec::new();
    for one in mailbox(&lab).await?.iter().filter(|one| one["kind"] == "account_changed") {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("channel"), "mail");
        told.push((text("to"), text("subject"), text("body")));
    }
    assert_eq!(told.len(), 5, "once each");
    for (_, value, hint, subject) in CHANGES {
        let (to, _, body) = told.iter().find(|(_, told, _)| told == subject).ok_or(subject)?;
        assert_eq!(to, OLD, "{subject}");
        assert!(body.contains(hint) && !body.contains(value), "{body}");
    }
    let passwords = told.iter().filter(|(to, subject, _)| to == NEW && subject.starts_with("Пароль"));
    assert_eq!(passwords.count(), 2, "changed and reset: {told:?}");
    Ok(())
}

#[tokio::test]
async fn a_change_that_was_not_made_is_told_to_nobody() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let ask = json!({"field": "email", "value": NEW, "password": PASSWORD});
    let (_, sent) = nova.post("/api/account/changes", ask).await?;
    let id: Uuid = sent["changeId"].as_str().ok_or_else(|| sent.to_string())?.parse()?;
    // Somebody takes the address in between.
    sqlx::query("update users set email = $1 where id = $2")
        .bind(NEW)
        .bind(lab.shopper().await?.id.0)
        .execute(lab.store().pool())
        .await?;
    let path = format!("/api/account/changes/{id}/confirm");
    assert_eq!(nova.post(&path, json!({"code": digits_of(id)})).await?.0, StatusCode::CONFLICT);
    let wrong = json!({"currentPassword": "not this one", "newPassword": "another password"});
    assert_eq!(nova.post("/api/account/password", wrong).await?.0, StatusCode::UNAUTHORIZED);
    for table in ["select count(*) from account_changes", MESSAGES] {
        let rows: i64 = sqlx::query_scalar(table).fetch_one(lab.store().pool()).await?;
        assert_eq!(rows, 0, "{table}");
    }
    Ok(())
}

const MESSAGES: &str = "select count(*) from jobs where payload::text like '%account_changed%'";
