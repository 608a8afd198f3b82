//! E-mail address, phone and login change by a code that is sent to the new value; a forgotten password by a mailed one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::lab::{Lab, PASSWORD, Shopper, TestResult, digits_of, wrong};

/// As if all codes had been sent so many minutes before.
async fn pass(lab: &Lab, minutes: i32) -> TestResult {
    for age in [
        "update codes set created_at = created_at - make_interval(mins => $1),
             expires_at = expires_at - make_interval(mins => $1)",
        "update sent_codes set sent_at = sent_at - make_interval(mins => $1)",
    ] {
        sqlx::query(age).bind(minutes).execute(lab.store().pool()).await?;
    }
    Ok(())
}

/// How a request for a code is answered, and after how many seconds it may be made again.
async fn ask_as(who: &Shopper, path: &str, body: Value) -> Result<(StatusCode, Option<u64>), reqwest::Error> {
    let request = who.http.post(format!("{}{path}", who.url)).bearer_auth(&who.token);
    let answer = request.json(&body).send().await?;
    let told = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok((answer.status(), told))
}

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
    pass(&lab, 9).await?;
    assert_eq!(
        code(nova.post(&path, json!({"code": wrong(&digits)})).await?),
        (StatusCode::UNPROCESSABLE_ENTITY, json!("bad_code")),
        "after nine minutes it may still be typed"
    );
    pass(&lab, 1).await?;
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
    lab.verify(&nova).await?;
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

#[tokio::test]
async fn codes_for_a_forgotten_password_are_counted_by_the_hour_and_not_by_the_day() -> TestResult {
    let lab = Lab::start().await?;
    lab.account("nova").await?;
    let ask = || lab.send(Method::POST, "/api/auth/password/reset", json!({"login": "nova"}));
    let mut sent = BTreeSet::new();
    // A stranger who asks hour after hour does not lock the owner out for the rest of the day.
    for nth in 1..=21 {
        assert_eq!(ask().await?.0, StatusCode::ACCEPTED);
        let (id, _) = lab.latest_code("password").await?.ok_or("a code")?;
        assert!(sent.insert(id), "code {nth} was not sent");
        // The one of the last minute would be left as it is.
        pass(&lab, 2).await?;
        if nth % 10 == 0 {
            assert_eq!(ask().await?.0, StatusCode::ACCEPTED, "who asks is told nothing");
            let (id, _) = lab.latest_code("password").await?.ok_or("a code")?;
            assert!(sent.contains(&id), "no further one within the hour, after {nth}");
            pass(&lab, 60).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn codes_that_their_owner_asks_for_are_counted_for_a_day() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let ask = || ask_as(&nova, "/api/account/verification", json!({}));
    for nth in 2..=20 {
        // So that no hour has too many.
        pass(&lab, 61).await?;
        assert_eq!(
            ask().await?,
            (StatusCode::ACCEPTED, None),
            "code {nth}, the first was that of the registration"
        );
    }
    pass(&lab, 61).await?;
    // The first was sent twenty times 61 minutes ago: it leaves the day in 220.
    let (status, told) = ask().await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(told.is_some_and(|seconds| (13_000..=13_200).contains(&seconds)), "{told:?}");
    pass(&lab, 210).await?;
    assert_eq!(ask().await?.0, StatusCode::TOO_MANY_REQUESTS, "not before");
    pass(&lab, 10).await?;
    assert_eq!(ask().await?, (StatusCode::ACCEPTED, None), "when it was told");
    Ok(())
}

#[tokio::test]
async fn codes_to_an_address_are_counted_though_the_accounts_that_asked_are_erased() -> TestResult {
    let lab = Lab::start().await?;
    let ask = async |who: &Shopper| {
        let body = json!({"field": "email", "value": "victim@example.test", "password": PASSWORD});
        ask_as(who, "/api/account/changes", body).await
    };
    let erase = json!({"password": PASSWORD});
    for (name, codes) in [("first", 4), ("second", 4), ("third", 2)] {
        let who = lab.account(name).await?.shopper;
        for nth in 1..=codes {
            assert_eq!(ask(&who).await?, (StatusCode::ACCEPTED, None), "code {nth} of the {name}");
        }
        let erased = who.call(Method::DELETE, "/api/account", Some(erase.clone())).await?;
        assert_eq!(erased.0, StatusCode::NO_CONTENT, "{erased:?}");
    }
    let fourth = lab.account("fourth").await?.shopper;
    let (status, told) = ask(&fourth).await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "ten went there within the hour");
    assert!(told.is_some_and(|seconds| (3_400..=3_600).contains(&seconds)), "{told:?}");
    let plain = "select count(*) from sent_codes where target_hash = sha256(convert_to('victim@example.test', 'UTF8'))";
    assert_eq!(lab.count(plain).await?, 0, "nobody finds it by trying addresses");
    Ok(())
}

#[tokio::test]
async fn codes_by_sms_are_counted_for_a_day_by_account_by_number_and_altogether() -> TestResult {
    let lab = Lab::start_with(&[], &["--sms-codes-a-day=12"]).await?;
    let (nova, other) = (lab.account("nova").await?.shopper, lab.account("other").await?.shopper);
    lab.verify(&nova).await?;
    lab.verify(&other).await?;
    let change = |value: &str| json!({"field": "phone", "value": value, "password": PASSWORD});
    let ask = async |who: &Shopper, value: &str| who.post("/api/account/changes", change(value)).await;
    let assert_refused = |(status, problem): (StatusCode, Value), told: &str| {
        assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_requests")));
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    };
    let one_number =
        ["+380500000001", "380500000001", "00380500000001", "+38 (050) 000-00-01", "0380500000001"];
    for value in one_number {
        assert_eq!(ask(&nova, value).await?.0, StatusCode::ACCEPTED, "{value}");
    }
    for value in one_number {
        assert_refused(ask(&nova, value).await?, "within the day");
    }
    pass(&lab, 61).await?;
    for number in 2..=6 {
        let (status, sent) = ask(&nova, &format!("+38050000000{number}")).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "the first code to number {number}: {sent}");
    }
    assert_refused(ask(&nova, "+380500000007").await?, "within the day");
    let (id, number) = lab.latest_code("phone").await?.ok_or("a code")?;
    assert_eq!(number, "+380500000006", "what was refused is not written");
    let path = format!("/api/account/changes/{id}/confirm");
    let (status, account) = nova.post(&path, json!({"code": digits_of(id)})).await?;
    assert_eq!(status, StatusCode::OK, "nor does it end the code before it: {account}");

    let erase = json!({"password": PASSWORD});
    assert_eq!(nova.call(Method::DELETE, "/api/account", Some(erase)).await?.0, StatusCode::NO_CONTENT);
    assert_refused(ask(&other, "+380500000001").await?, "within the day");
    for number in 8..=9 {
        let (status, sent) = ask(&other, &format!("+38050000000{number}")).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "number {number}: {sent}");
    }
    assert_refused(ask(&other, "+380500000010").await?, "by SMS");
    // The first of the twelve went out 61 minutes ago.
    let (_, told) = ask_as(&other, "/api/account/changes", change("+380500000010")).await?;
    assert!(told.is_some_and(|seconds| (82_500..=82_740).contains(&seconds)), "{told:?}");
    pass(&lab, 24 * 60).await?;
    assert_eq!(ask(&other, "+380500000001").await?.0, StatusCode::ACCEPTED, "the day is over");
    lab.store().sweep_accounts(1_000).await?;
    assert_eq!(lab.count("select count(*) from sent_codes").await?, 1, "what is not counted is forgotten");
    Ok(())
}

#[tokio::test]
async fn where_no_codes_go_out_by_sms_at_all_nobody_gets_one() -> TestResult {
    let lab = Lab::start_with(&[], &["--sms-codes-a-day=0"]).await?;
    let nova = lab.account("nova").await?.shopper;
    lab.verify(&nova).await?;
    let ask = json!({"field": "phone", "value": "+380500000001", "password": PASSWORD});
    let answer = ask_as(&nova, "/api/account/changes", ask).await?;
    assert_eq!(answer, (StatusCode::TOO_MANY_REQUESTS, Some(86_400)));
    assert_eq!(lab.latest_code("phone").await?, None);
    Ok(())
}
