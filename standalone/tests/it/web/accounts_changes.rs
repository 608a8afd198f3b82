//! E-mail address, phone and login change by a code that is sent to the new value; a forgotten password by a mailed one.

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::lab::{Lab, PASSWORD, Shopper, TestResult, digits_of, wrong};

#[tokio::test]
async fn a_profile_is_seen_and_edited() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let (status, profile) = nova.get("/api/account").await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(profile["email"], "nova@example.test");
    assert_eq!((&profile["language"], &profile["secondFactor"]), (&json!("en"), &json!(false)));
    assert_eq!((&profile["emailVerified"], &profile["smsUpdates"]), (&json!(false), &json!(false)));
    assert!(profile["consentAt"].is_string() && profile["consentVersion"].is_string(), "{profile}");
    let edit = json!({"first_name": " Надія ", "language": "uk"});
    let (status, profile) = nova.call(Method::PATCH, "/api/account", Some(edit)).await?;
    assert_eq!((status, &profile["firstName"]), (StatusCode::OK, &json!("Надія")));
    assert_eq!((&profile["lastName"], &profile["language"]), (&json!("Tester"), &json!("uk")));
    let edit = json!({"smsUpdates": true});
    let (status, profile) = nova.call(Method::PATCH, "/api/account", Some(edit)).await?;
    assert_eq!((status, &profile["smsUpdates"]), (StatusCode::OK, &json!(true)));
    assert_eq!(profile["firstName"], "Надія", "what is absent stays");
    for body in [json!({"email": "x@y.test"}), json!({"language": "de"}), json!({"firstName": ""})] {
        let (status, problem) = nova.call(Method::PATCH, "/api/account", Some(body)).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")));
    }
    Ok(())
}

#[tokio::test]
async fn each_field_changes_by_a_code_to_the_right_place() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    lab.verify(&nova).await?;
    for (field, value, channel, target) in [
        ("phone", "+38 (050) 123-45-67", "sms", "+380501234567"),
        ("login", "Supernova", "email", "nova@example.test"),
        ("email", "Super@Example.test", "email", "super@example.test"),
    ] {
        let (status, sent) = nova
            .post("/api/account/changes", json!({"field": field, "value": value, "password": PASSWORD}))
            .await?;
        assert_eq!((status, &sent["channel"]), (StatusCode::ACCEPTED, &json!(channel)), "{sent}");
        let id: Uuid = sent["changeId"].as_str().ok_or("an id")?.parse()?;
        assert_eq!(lab.latest_code(field).await?, Some((id, target.to_owned())));
        let told: DateTime<Utc> = sent["expiresAt"].as_str().ok_or("until when")?.parse()?;
        assert_eq!(lab.life_of_code(id).await?, (600, told), "ten minutes, as is told");
        let digits = digits_of(id);
        let jobs: i64 = sqlx::query_scalar(
            "select count(*) from jobs where queue = 'messages' and payload::text like '%' || $1 || '%'",
        )
        .bind(id.to_string())
        .fetch_one(lab.store().pool())
        .await?;
        assert_eq!(jobs, 1, "its message was written with it");
        let kept: String = sqlx::query_scalar(
            "select (select string_agg(codes::text, ' ') from codes) || (select string_agg(payload::text, ' ') from jobs)",
        )
        .fetch_one(lab.store().pool())
        .await?;
        assert!(!kept.contains(&format!("\"{digits}\"")) && !kept.contains(&format!(",{digits},")), "{kept}");
        let path = format!("/api/account/changes/{id}/confirm");
        let (status, problem) = nova.post(&path, json!({"code": wrong(&digits)})).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_code")));
        let (status, profile) = nova.post(&path, json!({"code": digits})).await?;
        assert_eq!(status, StatusCode::OK, "{profile}");
        let wanted = if field == "phone" { target.to_owned() } else { value.to_lowercase() };
        assert_eq!(profile[field], json!(wanted));
        let (status, problem) = nova.post(&path, json!({"code": digits})).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::GONE, &json!("code_expired")), "once");
    }
    lab.log_in("supernova", PASSWORD).await?;
    lab.log_in("super@example.test", PASSWORD).await?;
    assert!(lab.log_in("nova@example.test", PASSWORD).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_code_is_good_for_five_tries_ten_minutes_one_change_and_its_owner() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let other = lab.account("other").await?.shopper;
    let ask = async |value: &str| -> Result<(String, String), Box<dyn std::error::Error>> {
        let (_, sent) = nova
            .post("/api/account/changes", json!({"field": "email", "value": value, "password": PASSWORD}))
            .await?;
        let id: Uuid = sent["changeId"].as_str().ok_or(sent.to_string())?.parse()?;
        Ok((format!("/api/account/changes/{id}/confirm"), digits_of(id)))
    };
    let code = |(status, problem): (StatusCode, Value)| (status, problem["code"].clone());
    let (path, digits) = ask("one@example.test").await?;
    assert_eq!(
        code(other.post(&path, json!({"code": digits})).await?),
        (StatusCode::NOT_FOUND, json!("not_found")),
        "it is for its owner"
    );
    for _ in 0..5 {
        assert_eq!(
            code(nova.post(&path, json!({"code": wrong(&digits)})).await?),
            (StatusCode::UNPROCESSABLE_ENTITY, json!("bad_code"))
        );
    }
    let gone = (StatusCode::GONE, json!("code_expired"));
    assert_eq!(code(nova.post(&path, json!({"code": digits})).await?), gone, "five tries");

    let (path, digits) = ask("two@example.test").await?;
    let pass = async |minutes: i32| {
        let age = "update codes set created_at = created_at - make_interval(mins => $1),
                       expires_at = expires_at - make_interval(mins => $1)";
        sqlx::query(age).bind(minutes).execute(lab.store().pool()).await
    };
    pass(9).await?;
    assert_eq!(
        code(nova.post(&path, json!({"code": wrong(&digits)})).await?),
        (StatusCode::UNPROCESSABLE_ENTITY, json!("bad_code")),
        "after nine minutes it may still be typed"
    );
    pass(1).await?;
    assert_eq!(code(nova.post(&path, json!({"code": digits})).await?), gone, "after ten its time is over");

    let (before, old_digits) = ask("three@example.test").await?;
    let (path, digits) = ask("four@example.test").await?;
    assert_eq!(
        code(nova.post(&before, json!({"code": old_digits})).await?),
        gone,
        "the next one replaces it"
    );
    // Somebody takes the address in between.
    let taken = lab.account("four").await?;
    assert_eq!(taken.email, "four@example.test");
    assert_eq!(
        code(nova.post(&path, json!({"code": digits})).await?),
        (StatusCode::CONFLICT, json!("already_registered"))
    );
    let ask_taken = json!({"field": "email", "value": "four@example.test", "password": PASSWORD});
    assert_eq!(
        code(nova.post("/api/account/changes", ask_taken).await?),
        (StatusCode::CONFLICT, json!("already_registered"))
    );
    for n in 0..10 {
        let value = format!("n{n}@example.test");
        let answer = nova
            .post("/api/account/changes", json!({"field": "email", "value": value, "password": PASSWORD}))
            .await?;
        if answer.0 == StatusCode::TOO_MANY_REQUESTS {
            return Ok(());
        }
    }
    Err("codes are sent without end".into())
}

#[tokio::test]
async fn an_open_session_alone_changes_no_address_and_a_changed_one_ends_the_others() -> TestResult {
    let lab = Lab::start().await?;
    let account = lab.account("nova").await?;
    let other = lab.log_in("nova", PASSWORD).await?;
    let nova = account.shopper;
    let there = Shopper { token: other["accessToken"].as_str().ok_or("a token")?.to_owned(), ..nova.clone() };
    for (field, value) in [("email", "thief@example.test"), ("phone", "+380501234567"), ("login", "thief")] {
        let ask = |password: Value| {
            nova.post("/api/account/changes", json!({"field": field, "value": value, "password": password}))
        };
        let (status, problem) = ask(Value::Null).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")));
        let (status, problem) = ask(json!("a guess")).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("bad_credentials")));
    }
    assert_eq!(lab.latest_code("email").await?, None);
    for (field, value, expected) in [
        ("phone", "+380501234567", StatusCode::OK),
        ("email", "super@example.test", StatusCode::UNAUTHORIZED),
    ] {
        let ask = json!({"field": field, "value": value, "password": PASSWORD});
        let (_, sent) = nova.post("/api/account/changes", ask).await?;
        let id: Uuid = sent["changeId"].as_str().ok_or(sent.to_string())?.parse()?;
        let path = format!("/api/account/changes/{id}/confirm");
        assert_eq!(nova.post(&path, json!({"code": digits_of(id)})).await?.0, StatusCode::OK);
        assert_eq!(there.get("/api/account").await?.0, expected, "{field}");
    }
    assert_eq!(nova.get("/api/account").await?.0, StatusCode::OK, "the session that changed it goes on");
    let refresh = |token: &Value| lab.send(Method::POST, "/api/auth/refresh", json!({"refreshToken": token}));
    assert_eq!(refresh(&other["refreshToken"]).await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&json!(account.refresh_token)).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn code_guessing_has_a_limit_of_its_own() -> TestResult {
    let lab = Lab::start_with(&[], &["--rate-limit-code-max=3"]).await?;
    let nova = lab.account("nova").await?.shopper;
    let path = format!("/api/account/changes/{}/confirm", Uuid::now_v7());
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(nova.post(&path, json!({"code": "123456"})).await?.0);
    }
    assert_eq!(seen[0], StatusCode::NOT_FOUND);
    assert_eq!(seen[5], StatusCode::TOO_MANY_REQUESTS);
    lab.log_in("nova", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_a_mailed_code_and_nobody_learns_who_has_an_account() -> TestResult {
    let lab = Lab::start().await?;
    let account = lab.account("nova").await?;
    let ask = async |login: &str| {
        let begun = std::time::Instant::now();
        let answer = lab.send(Method::POST, "/api/auth/password/reset", json!({"login": login})).await;
        answer.map(|answer| (answer, begun.elapsed()))
    };
    let (known, known_took) = ask("NOVA@example.test").await?;
    let (unknown, unknown_took) = ask("nobody@example.test").await?;
    assert_eq!(known.0, StatusCode::ACCEPTED);
    assert_eq!(known, unknown, "the same answer");
    for took in [known_took, unknown_took] {
        assert!(took >= std::time::Duration::from_millis(250), "the time does not tell: {took:?}");
    }
    let (id, target) = lab.latest_code("password").await?.ok_or("a code")?;
    assert_eq!(target, "nova@example.test");
    assert_eq!(lab.life_of_code(id).await?.0, 600, "ten minutes");
    ask("nova").await?;
    let (again, _) = lab.latest_code("password").await?.ok_or("a code")?;
    assert_eq!(again, id, "nothing new within a minute");
    let digits = digits_of(id);
    let confirm = |login: &str, code: &str, password: &str| {
        let body = json!({"login": login, "code": code, "newPassword": password});
        lab.send(Method::POST, "/api/auth/password/reset/confirm", body)
    };
    let own_path = format!("/api/account/changes/{id}/confirm");
    let (status, _) = account.shopper.post(&own_path, json!({"code": digits})).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "such a code changes nothing else");
    for (login, code) in [("nova", wrong(&digits)), ("nobody", digits.as_str())] {
        let (status, problem) = confirm(login, code, "a new password").await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_code")));
    }
    assert_eq!(confirm("nova", &digits, "a new password").await?.0, StatusCode::NO_CONTENT);
    assert!(lab.log_in("nova", PASSWORD).await.is_err());
    lab.log_in("nova", "a new password").await?;
    assert_eq!(account.shopper.get("/api/account").await?.0, StatusCode::UNAUTHORIZED, "sessions have ended");
    let (status, problem) = confirm("nova", &digits, "yet another one").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("bad_code")), "once");
    Ok(())
}
