//! Sessions end everywhere, refresh tokens are not used twice, and Basic is as good as a token.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::auth::refresh_token_hash;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, PASSWORD, Shopper, TestResult, eventually, make_event};

/// As if refresh tokens that were used had been used a minute before.
async fn pass_a_minute(lab: &Lab) -> TestResult {
    sqlx::query("update refresh_tokens set used_at = used_at - interval '1 minute'")
        .execute(lab.store().pool())
        .await?;
    Ok(())
}

/// How many tokens somebody could go on with.
const UNUSED: &str = "select count(*) from refresh_tokens where used_at is null";

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_answered_alike_for_some_seconds() -> TestResult {
    let lab = Lab::start().await?;
    let second = lab.add(&[Part::Gateway]).await?;
    let account = lab.account("nova").await?;
    let there = account.shopper.at(&second.url);
    let refresh = |token: &serde_json::Value| {
        lab.send(Method::POST, "/api/auth/refresh", json!({"refreshToken": token}))
    };
    let first = json!(account.refresh_token);
    let (status, lost) = refresh(&first).await?;
    assert_eq!(status, StatusCode::OK);
    let (status, again) = there.post("/api/auth/refresh", json!({"refreshToken": first})).await?;
    assert_eq!(status, StatusCode::OK, "{again}");
    assert_eq!(again["refreshToken"], lost["refreshToken"], "nobody has another one to go on with");
    assert_eq!(lab.count(UNUSED).await?, 1);
    let figures = lab.http.get(format!("{}/metrics", lab.system.url)).send().await?.text().await?;
    assert!(figures.contains("usher_refreshes_repeated_total"), "it is counted: {figures}");
    for answer in [&lost, &again] {
        let token = answer["accessToken"].as_str().ok_or("a token")?.to_owned();
        let here = Shopper { token, ..account.shopper.clone() };
        assert_eq!(here.get("/api/auth/me").await?.0, StatusCode::OK);
    }
    let (status, next) = refresh(&again["refreshToken"]).await?;
    assert_eq!(status, StatusCode::OK, "{next}");
    let (status, _) = refresh(&first).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "its answer has arrived, as the token in it was used");
    assert_eq!(refresh(&next["refreshToken"]).await?.0, StatusCode::UNAUTHORIZED, "the log-in has ended");
    second.stop().await;
    Ok(())
}

#[tokio::test]
async fn windows_that_refresh_at_once_go_on_with_one_token() -> TestResult {
    let lab = Lab::start().await?;
    let first = json!(lab.account("nova").await?.refresh_token);
    let refresh = |token: &serde_json::Value| {
        lab.send(Method::POST, "/api/auth/refresh", json!({"refreshToken": token}))
    };
    let answers = futures_util::future::try_join_all((0..8).map(|_| refresh(&first))).await?;
    let next = &answers[0].1["refreshToken"];
    assert!(next.is_string(), "{answers:?}");
    for (status, answer) in &answers {
        assert_eq!((*status, &answer["refreshToken"]), (StatusCode::OK, next), "{answer}");
    }
    assert_eq!(lab.count(UNUSED).await?, 1);
    let (status, later) = refresh(next).await?;
    assert_eq!(status, StatusCode::OK, "{later}");
    pass_a_minute(&lab).await?;
    assert_eq!(refresh(next).await?.0, StatusCode::UNAUTHORIZED, "a copy that comes later is noticed");
    assert_eq!(refresh(&later["refreshToken"]).await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_log_in_and_no_other() -> TestResult {
    let lab = Lab::start().await?;
    let account = lab.account("nova").await?;
    let other = lab.log_in("nova", PASSWORD).await?;
    let refresh = |token: &serde_json::Value| {
        lab.send(Method::POST, "/api/auth/refresh", json!({"refreshToken": token}))
    };
    let first = json!(account.refresh_token);
    let (status, next) = refresh(&first).await?;
    assert_eq!(status, StatusCode::OK);
    pass_a_minute(&lab).await?;
    let (status, problem) = refresh(&first).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
    let (status, _) = refresh(&next["refreshToken"]).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "whoever has the copy has lost it too");
    for token in [&account.shopper.token, next["accessToken"].as_str().ok_or("a token")?] {
        let me = lab.http.get(format!("{}/api/auth/me", lab.system.url)).bearer_auth(token).send().await?;
        assert_eq!(me.status(), StatusCode::UNAUTHORIZED, "its access tokens have ended with it");
    }
    let (status, _) = refresh(&other["refreshToken"]).await?;
    assert_eq!(status, StatusCode::OK, "another log-in goes on");
    let (status, _) = refresh(&json!("never given out")).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn logging_out_ends_one_log_in_and_logging_out_everywhere_ends_all_at_every_gateway() -> TestResult {
    let lab = Lab::start().await?;
    let second = lab.add(&[Part::Gateway]).await?;
    let account = lab.account("nova").await?;
    let session = lab.log_in("nova", PASSWORD).await?;
    let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
    let here = crate::lab::Shopper { token, ..account.shopper.clone() };
    let there = here.at(&second.url);
    assert_eq!(account.shopper.post("/api/auth/logout", json!({})).await?.0, StatusCode::NO_CONTENT);
    let (status, problem) = account.shopper.get("/api/auth/me").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("token_expired")));
    assert_eq!(here.get("/api/auth/me").await?.0, StatusCode::OK, "the other device goes on");
    assert_eq!(there.get("/api/auth/me").await?.0, StatusCode::OK);
    assert_eq!(here.post("/api/auth/logout-everywhere", json!({})).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(here.get("/api/auth/me").await?.0, StatusCode::UNAUTHORIZED, "at once where it was said");
    eventually("the other gateway hears of it", async || {
        there.get("/api/auth/me").await.is_ok_and(|(status, _)| status == StatusCode::UNAUTHORIZED)
    })
    .await;
    let refresh = json!({"refreshToken": session["refreshToken"]});
    assert_eq!(lab.send(Method::POST, "/api/auth/refresh", refresh).await?.0, StatusCode::UNAUTHORIZED);
    // A gateway that starts later knows it from its beginning.
    let third = lab.add(&[Part::Gateway]).await?;
    assert_eq!(here.at(&third.url).get("/api/auth/me").await?.0, StatusCode::UNAUTHORIZED);
    let fresh = lab.log_in("nova", PASSWORD).await?;
    let token = fresh["accessToken"].as_str().ok_or("a token")?.to_owned();
    let fresh = crate::lab::Shopper { token, ..here };
    assert_eq!(fresh.at(&third.url).get("/api/auth/me").await?.0, StatusCode::OK, "a later log-in is good");
    Ok(())
}

#[tokio::test]
async fn basic_works_on_every_path_polls_among_them() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let account = lab.account("nova").await?;
    let job = account.shopper.book(event, json!({"quantity": 1})).await?;
    account.shopper.outcome(&job).await?;
    for path in ["/api/events", "/api/cart", "/api/auth/me", "/api/account", "/api/bookings"] {
        for login in [account.email.as_str(), "NOVA"] {
            assert_eq!(lab.basic(path, (login, PASSWORD)).await?.0, StatusCode::OK, "{path}");
        }
        let (status, problem) = lab.basic(path, (&account.email, "wrong")).await?;
        if path != "/api/events" {
            assert_eq!(
                (status, &problem["code"]),
                (StatusCode::UNAUTHORIZED, &json!("bad_credentials")),
                "{path}"
            );
        }
    }
    let poll = format!("/api/bookings/status/{job}");
    let (status, own) = lab.basic(&poll, (&account.email, PASSWORD)).await?;
    assert_eq!((status, &own["status"]), (StatusCode::OK, &json!("completed")));
    assert!(own["result"].is_object(), "what was won is told to its owner: {own}");
    assert_eq!(lab.basic(&poll, (&account.email, "wrong")).await?.0, StatusCode::UNAUTHORIZED);
    let booked = lab.http.post(format!("{}/api/bookings/{event}/book", lab.system.url));
    let booked =
        booked.basic_auth(&account.email, Some(PASSWORD)).json(&json!({"quantity": 1})).send().await?;
    assert_eq!(booked.status(), StatusCode::ACCEPTED);
    Ok(())
}

#[tokio::test]
async fn verified_credentials_cost_no_hash_and_end_with_the_password() -> TestResult {
    let lab = Lab::start().await?;
    let account = lab.account("nova").await?;
    let who = (account.email.as_str(), PASSWORD);
    assert_eq!(lab.basic("/api/cart", who).await?.0, StatusCode::OK);
    // A hash that nothing verifies against: whoever is let in now is remembered.
    sqlx::query("update users set password_hash = 'x' where id = $1")
        .bind(account.shopper.id.0)
        .execute(lab.store().pool())
        .await?;
    assert_eq!(lab.basic("/api/cart", who).await?.0, StatusCode::OK, "remembered");
    assert_eq!(
        lab.basic("/api/cart", ("nova", PASSWORD)).await?.0,
        StatusCode::UNAUTHORIZED,
        "verified anew"
    );
    lab.store().end_sessions(account.shopper.id).await?;
    eventually("what ended the sessions ended what is remembered", async || {
        lab.basic("/api/cart", who).await.is_ok_and(|(status, _)| status == StatusCode::UNAUTHORIZED)
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_changed_password_ends_tokens_and_basic_of_before() -> TestResult {
    let lab = Lab::start().await?;
    let account = lab.account("nova").await?;
    assert_eq!(lab.basic("/api/cart", (&account.email, PASSWORD)).await?.0, StatusCode::OK);
    let change = |current: &str, new: &str| {
        account
            .shopper
            .post("/api/account/password", json!({"currentPassword": current, "new_password": new}))
    };
    let (status, problem) = change("not this one", "another password").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("bad_credentials")));
    assert_eq!(change(PASSWORD, "short").await?.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, session) = change(PASSWORD, "another password").await?;
    assert_eq!(status, StatusCode::OK, "{session}");
    assert_eq!(account.shopper.get("/api/account").await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(lab.basic("/api/cart", (&account.email, PASSWORD)).await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(lab.basic("/api/cart", (&account.email, "another password")).await?.0, StatusCode::OK);
    let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
    let here = crate::lab::Shopper { token, ..account.shopper.clone() };
    assert_eq!(here.get("/api/account").await?.0, StatusCode::OK, "this device goes on");
    let refresh = json!({"refreshToken": account.refresh_token});
    assert_eq!(lab.send(Method::POST, "/api/auth/refresh", refresh).await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn who_is_being_verified_while_all_sessions_end_gets_none() -> TestResult {
    let lab = Lab::start().await?;
    let account = lab.account("nova").await?;
    let log_in = json!({"login": "nova", "password": PASSWORD});
    let refresh = json!({"refreshToken": account.refresh_token});
    for (path, body) in [("/api/auth/refresh", &refresh), ("/api/auth/login", &log_in)] {
        let mut ending = lab.store().pool().begin().await?;
        for end in [
            "update users set session_version = session_version + 1 where id = $1",
            "delete from refresh_tokens where user_id = $1",
        ] {
            sqlx::query(end).bind(account.shopper.id.0).execute(&mut *ending).await?;
        }
        let end = async {
            eventually("it waits for the end of sessions", async || {
                lab.waiting_for_locks("%for share of u").await.is_ok_and(|waiting| waiting > 0)
            })
            .await;
            ending.commit().await
        };
        let (answer, ended) = tokio::join!(lab.send(Method::POST, path, body.clone()), end);
        ended?;
        let (status, problem) = answer?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {problem}");
    }
    let fresh = lab.log_in("nova", PASSWORD).await?;
    let refresh = json!({"refreshToken": fresh["refreshToken"]});
    assert_eq!(lab.send(Method::POST, "/api/auth/refresh", refresh).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_being_made_while_its_log_in_ends_ends_with_it() -> TestResult {
    let lab = Lab::start().await?;
    let nova = lab.account("nova").await?.shopper;
    let pool = lab.store().pool();
    let is_waiting =
        async |least: i64| lab.waiting_for_locks("%users%").await.is_ok_and(|waiting| waiting >= least);
    for path in ["/api/auth/logout", "/api/auth/logout-everywhere"] {
        let session = lab.log_in("nova", PASSWORD).await?;
        let word = |field: &str| session[field].as_str().unwrap_or_default().to_owned();
        let here = Shopper { token: word("accessToken"), ..nova.clone() };
        let hash = refresh_token_hash(&word("refreshToken"));
        let is_gone = async || {
            let left =
                sqlx::query_scalar::<_, i64>("select count(*) from refresh_tokens where token_hash = $1");
            left.bind(&hash).fetch_one(pool).await.is_ok_and(|left| left == 0)
        };
        // Nobody comes past the person's row, so the refresh stands still before its last step.
        let mut between = pool.begin().await?;
        sqlx::query("select 1 from users where id = $1 for no key update")
            .bind(nova.id.0)
            .execute(&mut *between)
            .await?;
        let refreshed =
            lab.send(Method::POST, "/api/auth/refresh", json!({"refreshToken": word("refreshToken")}));
        let ended = async {
            eventually("the refresh waits", async || is_waiting(1).await).await;
            here.post(path, json!({})).await
        };
        let freed = async {
            eventually("the log-out waits, or is done", async || is_waiting(2).await || is_gone().await)
                .await;
            between.commit().await
        };
        let (refreshed, ended, freed) = tokio::join!(refreshed, ended, freed);
        freed?;
        assert_eq!(ended?.0, StatusCode::NO_CONTENT, "{path}");
        let (status, next) = refreshed?;
        assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&status), "{path}: {next}");
        let again = json!({"refreshToken": next["refreshToken"].as_str().unwrap_or("none was given")});
        let (status, _) = lab.send(Method::POST, "/api/auth/refresh", again).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: the next token has outlived its log-in");
    }
    Ok(())
}

#[tokio::test]
async fn guessing_through_basic_is_limited_like_logging_in() -> TestResult {
    let lab = Lab::start_with(&[], &["--rate-limit-login-max=5"]).await?;
    let account = lab.account("nova").await?;
    assert_eq!(lab.basic("/api/cart", (&account.email, PASSWORD)).await?.0, StatusCode::OK);
    let mut refused = None;
    for guess in 0..10 {
        let (status, problem) = lab.basic("/api/cart", (&account.email, &format!("guess {guess}"))).await?;
        if status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(problem);
            break;
        }
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(refused.ok_or("never refused")?["code"], "too_many_requests");
    for _ in 0..20 {
        let (status, _) = lab.basic("/api/cart", (&account.email, PASSWORD)).await?;
        assert_eq!(status, StatusCode::OK, "whoever was verified is not counted");
    }
    Ok(())
}

#[tokio::test]
async fn somebody_is_found_by_an_index_among_very_many() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let pool = lab.store().pool();
    sqlx::query(
        "insert into users (email, login, first_name, last_name)
         select format('p%s@many.test', n), format('p%s', n), 'Many', 'People' from generate_series(1, 100000) n",
    )
    .execute(pool)
    .await?;
    lab.store().credentials("p77777").await?.ok_or("found by login")?;
    lab.store().credentials("p77777@many.test").await?.ok_or("found by e-mail")?;
    let begun = std::time::Instant::now();
    for n in 1..=200 {
        lab.store().credentials(&format!("p{n}")).await?.ok_or("found")?;
    }
    let each = begun.elapsed() / 200;
    assert!(each < std::time::Duration::from_millis(20), "a look-up takes {each:?}: it reads everybody");
    Ok(())
}
