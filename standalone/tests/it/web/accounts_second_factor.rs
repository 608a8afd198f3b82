//! The second factor of operators and admins.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::SharedSecret;

use crate::lab::{EventPlan, Lab, PASSWORD, Shopper, TestResult, make_event, wrong};

/// Somebody with this role, logged in; the log-in tells the role.
async fn somebody(lab: &Lab, name: &str, role: &str) -> Result<Shopper, Box<dyn std::error::Error>> {
    let account = lab.account(name).await?;
    sqlx::query("update users set role = $2 where id = $1")
        .bind(account.shopper.id.0)
        .bind(role)
        .execute(lab.store().pool())
        .await?;
    let token = lab.log_in(name, PASSWORD).await?["accessToken"].as_str().ok_or("a token")?.to_owned();
    Ok(Shopper { token, ..account.shopper })
}

fn with_token(shopper: &Shopper, session: &Value) -> Shopper {
    let token = session["accessToken"].as_str().unwrap_or_default().to_owned();
    Shopper { token, ..shopper.clone() }
}

/// The digits of the step that is `steps` after that of now.
fn digits(secret: &SharedSecret, steps: u64) -> Result<String, Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(secret.digits(now + steps * 30)?)
}

/// Begins with a second factor and confirms it at once; the answer to that.
async fn take_second_factor(person: &Shopper) -> Result<(StatusCode, Value), Box<dyn std::error::Error>> {
    let (_, begun) = person.post("/api/account/second-factor", json!({"password": PASSWORD})).await?;
    let secret = SharedSecret::from_base32(begun["secret"].as_str().ok_or("a secret")?).ok_or("base 32")?;
    let body = json!({"code": digits(&secret, 0)?});
    Ok(person.post("/api/account/second-factor/confirm", body).await?)
}

async fn log_in(lab: &Lab, code: Option<&str>) -> Result<(StatusCode, Value), reqwest::Error> {
    let mut body = json!({"login": "oscar", "password": PASSWORD});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    lab.send(Method::POST, "/api/auth/login", body).await
}

#[tokio::test]
async fn an_operator_logs_in_with_a_second_factor_and_each_code_once() -> TestResult {
    let lab = Lab::start().await?;
    let operator = somebody(&lab, "oscar", "operator").await?;
    let (status, begun) = operator.post("/api/account/second-factor", json!({"password": PASSWORD})).await?;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let secret = SharedSecret::from_base32(begun["secret"].as_str().ok_or("a secret")?).ok_or("base 32")?;
    assert!(begun["link"].as_str().is_some_and(|link| link.starts_with("otpauth://totp/Usher")), "{begun}");
    assert_eq!(log_in(&lab, None).await?.0, StatusCode::OK, "begun is not in use");
    let confirm = |code: String| operator.post("/api/account/second-factor/confirm", json!({"code": code}));
    let now = digits(&secret, 0)?;
    assert_eq!(confirm(wrong(&now).to_owned()).await?.1["code"], "bad_second_factor");
    let (status, confirmed) = confirm(now.clone()).await?;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    let recovery: Vec<&str> =
        confirmed["recoveryCodes"].as_array().ok_or("codes")?.iter().filter_map(Value::as_str).collect();
    assert_eq!(recovery.len(), 10);
    let sealed: Vec<u8> =
        sqlx::query_scalar("select secret from second_factors").fetch_one(lab.store().pool()).await?;
    let plain = begun["secret"].as_str().unwrap_or_default();
    assert!(sealed.len() > 28 && !String::from_utf8_lossy(&sealed).contains(plain), "it is sealed");

    assert_eq!(
        operator.get("/api/account").await?.0,
        StatusCode::UNAUTHORIZED,
        "sessions without it have ended"
    );
    let code = |(status, problem): (StatusCode, Value)| (status, problem["code"].clone());
    let needed = (StatusCode::UNAUTHORIZED, json!("second_factor_needed"));
    assert_eq!(code(log_in(&lab, None).await?), needed);
    assert_eq!(code(lab.basic("/api/cart", ("oscar", PASSWORD)).await?), needed, "Basic alone is not enough");
    let bad = (StatusCode::UNAUTHORIZED, json!("bad_second_factor"));
    assert_eq!(code(log_in(&lab, Some(&now)).await?), bad, "its step was used when confirming");
    let next = digits(&secret, 1)?;
    let (status, session) = log_in(&lab, Some(&next)).await?;
    assert_eq!(status, StatusCode::OK, "{session}");
    assert_eq!(code(log_in(&lab, Some(&next)).await?), bad, "a replayed step is refused");
    assert_eq!(log_in(&lab, Some(recovery[0])).await?.0, StatusCode::OK);
    assert_eq!(code(log_in(&lab, Some(recovery[0])).await?), bad, "a recovery code is good once");

    let operator = with_token(&operator, &session);
    let (status, problem) =
        operator.post("/api/account/second-factor", json!({"password": PASSWORD})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("second_factor_in_use")));
    let disable = |code: &str| operator.post("/api/account/second-factor/disable", json!({"code": code}));
    assert_eq!(disable("nothing").await?.0, StatusCode::UNAUTHORIZED);
    // As after JWT_SECRET was changed twice.
    sqlx::query("update second_factors set secret = sha256(secret)").execute(lab.store().pool()).await?;
    assert_eq!(
        code(log_in(&lab, Some("123456")).await?),
        bad,
        "a secret that is not known any more is no fault"
    );
    assert_eq!(log_in(&lab, Some(recovery[2])).await?.0, StatusCode::OK);
    assert_eq!(disable(&recovery[1].to_uppercase()).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(log_in(&lab, None).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_open_session_alone_sets_up_no_second_factor() -> TestResult {
    let lab = Lab::start().await?;
    let operator = somebody(&lab, "oscar", "operator").await?;
    let begin = |body: Value| operator.post("/api/account/second-factor", body);
    let (status, problem) = begin(json!({})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_json")));
    let refused = (StatusCode::UNAUTHORIZED, json!("bad_credentials"));
    let (status, problem) = begin(json!({"password": "a guess"})).await?;
    assert_eq!((status, problem["code"].clone()), refused);
    assert_eq!(lab.count("select count(*) from second_factors").await?, 0, "nothing is begun");
    assert_eq!(begin(json!({"password": PASSWORD})).await?.0, StatusCode::OK);
    // Whoever has no password cannot show that the account is theirs.
    sqlx::query("update users set password_hash = null").execute(lab.store().pool()).await?;
    let (status, problem) = begin(json!({"password": PASSWORD})).await?;
    assert_eq!((status, problem["code"].clone()), refused);
    Ok(())
}

#[tokio::test]
async fn whoever_guesses_a_second_factor_has_to_wait() -> TestResult {
    let lab = Lab::start().await?;
    let operator = somebody(&lab, "oscar", "admin").await?;
    let (_, confirmed) = take_second_factor(&operator).await?;
    for _ in 0..5 {
        assert_eq!(log_in(&lab, Some("no such code")).await?.0, StatusCode::UNAUTHORIZED);
    }
    let recovery = confirmed["recoveryCodes"][0].as_str().ok_or("a code")?;
    let (status, problem) = log_in(&lab, Some(recovery)).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_requests")));
    sqlx::query("update second_factors set blocked_until = clock_timestamp()")
        .execute(lab.store().pool())
        .await?;
    assert_eq!(log_in(&lab, Some(recovery)).await?.0, StatusCode::OK);
    for _ in 0..5 {
        let (status, problem) = log_in(&lab, Some("no such code")).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "one that was right begins the count anew: {problem}");
    }
    Ok(())
}

#[tokio::test]
async fn many_guesses_at_once_are_not_more_tries() -> TestResult {
    let lab = Lab::start().await?;
    let operator = somebody(&lab, "oscar", "admin").await?;
    let (_, confirmed) = take_second_factor(&operator).await?;
    let operator = with_token(&operator, &confirmed["session"]);
    // Where no password is verified, they come as close together as can be.
    let guesses = (0..40).map(|nth| {
        let body = json!({"code": format!("no such code {nth}")});
        operator.post("/api/account/second-factor/disable", body)
    });
    let answers = futures_util::future::try_join_all(guesses).await?;
    let count = |wanted| answers.iter().filter(|(status, _)| *status == wanted).count();
    let (looked_at, refused) = (count(StatusCode::UNAUTHORIZED), count(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!((looked_at, refused), (5, 35), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn where_second_factors_are_required_operators_act_only_with_one() -> TestResult {
    let lab = Lab::start_with(&[], &["--require-second-factor"]).await?;
    let operator = somebody(&lab, "oscar", "operator").await?;
    let (status, problem) = operator.get("/api/admin/queue/stats").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("second_factor_required")));
    let (status, confirmed) = take_second_factor(&operator).await?;
    assert_eq!(status, StatusCode::OK, "it can be set up: {confirmed}");
    let operator = with_token(&operator, &confirmed["session"]);
    assert_eq!(operator.get("/api/admin/queue/stats").await?.0, StatusCode::OK);
    let shopper = lab.account("nova").await?.shopper;
    assert_eq!(shopper.get("/api/cart").await?.0, StatusCode::OK, "shoppers need none");
    let (status, problem) = shopper.post("/api/account/second-factor", json!({"password": PASSWORD})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
    Ok(())
}

#[tokio::test]
async fn where_second_factors_are_required_admins_look_into_nothing_of_others_without_one() -> TestResult {
    let lab = Lab::start_with(&[], &["--require-second-factor", "--mailbox-open=true"]).await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let nova = lab.account("nova").await?.shopper;
    let job = nova.book(event, json!({"quantity": 1})).await?;
    let outcome = nova.outcome(&job).await?;
    let booking = outcome["result"]["bookingId"].as_str().ok_or_else(|| outcome.to_string())?;
    let admin = somebody(&lab, "oscar", "admin").await?;
    let figures = format!("/metrics/{}", nova.id);
    let booking = format!("/api/bookings/{booking}");
    let for_nova = json!({"eventId": event, "userId": nova.id});
    let mailbox = |admin: &Shopper| {
        let request = lab.http.get(format!("{}/api/mailbox", lab.system.url)).bearer_auth(&admin.token);
        request.header("host", "usher.test").send()
    };
    assert_eq!(admin.get(&figures).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(admin.get(&booking).await?.0, StatusCode::NOT_FOUND);
    let reserved = admin.post("/api/bookings/reserve", for_nova.clone()).await?;
    assert_eq!((reserved.0, &reserved.1["code"]), (StatusCode::FORBIDDEN, &json!("not_owner")));
    assert_eq!(mailbox(&admin).await?.status(), StatusCode::FORBIDDEN);

    let (_, confirmed) = take_second_factor(&admin).await?;
    let admin = with_token(&admin, &confirmed["session"]);
    assert_eq!(admin.get(&figures).await?.0, StatusCode::OK);
    assert_eq!(admin.get(&booking).await?.0, StatusCode::OK);
    assert!(admin.post("/api/bookings/reserve", for_nova).await?.0.is_success());
    assert_eq!(mailbox(&admin).await?.status(), StatusCode::OK);
    Ok(())
}
