//! Registering, logging in, staying logged in.

use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use crate::lab::{Lab, TestResult};

#[tokio::test]
async fn a_shopper_registers_logs_in_refreshes_and_logs_out() -> TestResult {
    let lab = Lab::start().await?;
    let url = |path: &str| format!("{}/api/auth/{path}", lab.system.url);
    let person = json!({"email": "Nova@Example.test", "password": "long enough", "first_name": "Nova",
        "lastName": "Shopper", "login": "Nova", "phone": "+100000", "consent": true});
    let registered = lab.http.post(url("register")).json(&person).send().await?;
    assert_eq!(registered.status(), StatusCode::CREATED);
    let again = lab.http.post(url("register")).json(&person).send().await?;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(again.json::<Value>().await?["code"], "already_registered");
    for login in ["nova@example.test", "NOVA"] {
        let answer = lab
            .http
            .post(url("login"))
            .json(&json!({"login": login, "password": "long enough"}))
            .send()
            .await?;
        assert_eq!(answer.status(), StatusCode::OK, "{login}");
        let cookie = answer.headers()[SET_COOKIE].to_str()?.to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    }
    for (login, password) in [("nova", "wrong password"), ("nobody", "long enough")] {
        let answer =
            lab.http.post(url("login")).json(&json!({"login": login, "password": password})).send().await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json::<Value>().await?["code"], "bad_credentials");
    }
    let answer =
        lab.http.post(url("login")).json(&json!({"login": "nova", "password": "long enough"})).send().await?;
    let session: Value = answer.json().await?;
    let refresh = json!({"refreshToken": session["refreshToken"]});
    let next: Value = lab.http.post(url("refresh")).json(&refresh).send().await?.json().await?;
    assert!(next["accessToken"].is_string() && next["expiresIn"].is_u64());
    let token = next["accessToken"].as_str().ok_or("a token")?;
    let me: Value = lab.http.get(url("me")).bearer_auth(token).send().await?.json().await?;
    assert_eq!((&me["email"], &me["role"]), (&json!("nova@example.test"), &json!("shopper")));
    let out = lab.http.post(url("logout")).bearer_auth(token).send().await?;
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let refresh = json!({"refreshToken": next["refreshToken"]});
    assert_eq!(lab.http.post(url("refresh")).json(&refresh).send().await?.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn the_cookie_reads_everywhere_and_writes_only_from_its_own_page() -> TestResult {
    let lab = Lab::start().await?;
    let shopper = lab.shopper().await?;
    let cookie = format!("usher_access={}", shopper.token);
    let cart = lab.http.get(format!("{}/api/cart", shopper.url)).header(COOKIE, &cookie).send().await?;
    assert_eq!(cart.status(), StatusCode::OK);
    let cancel = |site: &'static str| {
        let request = lab.http.patch(format!("{}/api/bookings/cancel", shopper.url)).header(COOKIE, &cookie);
        let body = json!({"bookingId": "00000000-0000-0000-0000-000000000000"});
        request.header("sec-fetch-site", site).json(&body).send()
    };
    let foreign = cancel("cross-site").await?;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert_eq!(foreign.json::<Value>().await?["code"], "cross_site");
    assert_eq!(cancel("same-origin").await?.status(), StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn what_somebody_has_is_told_by_its_field() -> TestResult {
    let lab = Lab::start().await?;
    let url = format!("{}/api/auth/register", lab.system.url);
    let person = json!({"email": "a@b.test", "login": "first", "phone": "+1 (234) 567-89", "password": "long enough",
        "firstName": "A", "lastName": "B", "language": "uk", "consent": true});
    assert_eq!(lab.http.post(&url).json(&person).send().await?.status(), StatusCode::CREATED);
    let other = json!({"email": "c@d.test", "login": "second", "phone": "+987654321", "password": "long enough",
        "firstName": "A", "lastName": "B", "consent": true});
    for (field, value, told) in [
        ("email", "A@B.test", "e-mail address"),
        ("login", "FIRST", "login"),
        ("phone", "+123456789", "phone number"),
    ] {
        let mut same = other.clone();
        same[field] = json!(value);
        let answer = lab.http.post(&url).json(&same).send().await?;
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{field}");
        let problem: Value = answer.json().await?;
        assert_eq!(problem["code"], "already_registered");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    }
    let kept: (bool, Option<String>, String) = sqlx::query_as(
        "select consent_at is not null, consent_version, language from users where login = 'first'",
    )
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(kept, (true, Some("2026-11".to_owned()), "uk".to_owned()), "consent is kept with its text");
    Ok(())
}

#[tokio::test]
async fn registration_names_what_is_wrong() -> TestResult {
    let lab = Lab::start().await?;
    let good = json!({"email": "a@b.test", "password": "long enough", "firstName": "A", "lastName": "B", "consent": true});
    let cases = [
        ("email", json!("no address"), "email"),
        ("password", json!("short"), "password"),
        ("consent", json!(false), "consent"),
        ("firstName", json!(""), "firstName"),
        ("login", json!("a@b"), "login"),
        ("login", json!("a:b"), "login"),
        ("phone", json!("call me"), "phone"),
        ("language", json!("de"), "language"),
    ];
    for (field, value, told) in cases {
        let mut person = good.clone();
        person[field] = value;
        let answer =
            lab.http.post(format!("{}/api/auth/register", lab.system.url)).json(&person).send().await?;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        let problem: Value = answer.json().await?;
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    }
    Ok(())
}
