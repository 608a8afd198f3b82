//! Limits of requests: by address, by account, and for guesses over all gateways.

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use standalone::settings::Part;

use crate::lab::{Lab, PASSWORD, TestResult};

async fn log_in(lab: &Lab, url: &str, login: &str, from: &str) -> Result<Response, reqwest::Error> {
    let body = json!({"login": login, "password": "wrong password"});
    lab.http.post(format!("{url}/api/auth/login")).header("x-forwarded-for", from).json(&body).send().await
}

fn assert_too_many(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds =
        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "{seconds:?}");
}

/// A gateway behind a proxy that says who asks.
const PROXIED: &str = "--trusted-proxies=127.0.0.1";

#[tokio::test]
async fn guesses_are_counted_for_the_address_by_its_network() -> TestResult {
    let lab = Lab::start_with(&[], &[PROXIED, "--rate-limit-login-ip-max=3"]).await?;
    let url = &lab.system.url;
    for nth in 1..=3 {
        let from = format!("2001:db8:1:2::{nth}");
        let answer = log_in(&lab, url, &format!("somebody{nth}"), &from).await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    assert_too_many(&log_in(&lab, url, "somebody4", "2001:db8:1:2:ffff::4").await?);
    let other = log_in(&lab, url, "somebody5", "2001:db8:1:3::1").await?;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED, "the network beside it is somebody else");
    Ok(())
}

#[tokio::test]
async fn refreshes_and_log_ins_of_one_address_do_not_keep_each_other_out() -> TestResult {
    let words = [PROXIED, "--rate-limit-login-ip-max=3", "--rate-limit-refresh-ip-max=4"];
    let lab = Lab::start_with(&[], &words).await?;
    let url = &lab.system.url;
    let refresh = |from: &'static str| {
        let request = lab.http.post(format!("{url}/api/auth/refresh")).header("x-forwarded-for", from);
        request.json(&json!({"refreshToken": "never given out"})).send()
    };
    for _ in 0..4 {
        assert_eq!(refresh("203.0.113.7").await?.status(), StatusCode::UNAUTHORIZED);
    }
    assert_too_many(&refresh("203.0.113.7").await?);
    let answer = log_in(&lab, url, "somebody0", "203.0.113.7").await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "an office that refreshes may log in");
    for nth in 1..=3 {
        let answer = log_in(&lab, url, &format!("somebody{nth}"), "203.0.113.8").await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    assert_too_many(&log_in(&lab, url, "somebody4", "203.0.113.8").await?);
    let answer = refresh("203.0.113.8").await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "and one that logs in may refresh");
    Ok(())
}

#[tokio::test]
async fn guesses_at_one_login_are_counted_over_all_gateways() -> TestResult {
    let lab = Lab::start_with(&[], &[PROXIED, "--rate-limit-login-max=4"]).await?;
    let second = lab.add(&[Part::Gateway]).await?;
    for nth in 0..4 {
        let url = if nth % 2 == 0 { &lab.system.url } else { &second.url };
        let answer = log_in(&lab, url, "Victim", &format!("203.0.113.{nth}")).await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{nth}");
    }
    for url in [&lab.system.url, &second.url] {
        // Neither has seen more than two by itself.
        assert_too_many(&log_in(&lab, url, "victim", "203.0.113.99").await?);
    }
    assert_eq!(log_in(&lab, &second.url, "other", "203.0.113.98").await?.status(), StatusCode::UNAUTHORIZED);
    second.stop().await;
    Ok(())
}

#[tokio::test]
async fn passwords_that_come_with_a_request_are_guesses_like_those_of_log_ins() -> TestResult {
    let lab = Lab::start_with(&[], &[PROXIED, "--rate-limit-login-max=4"]).await?;
    let second = lab.add(&[Part::Gateway]).await?;
    lab.account("nova").await?;
    let basic = |url: &str, password: &str, from: &str| {
        let request = lab.http.get(format!("{url}/api/cart")).header("x-forwarded-for", from);
        request.basic_auth("Nova", Some(password)).send()
    };
    let (first, second_url) = (&lab.system.url, &second.url);
    assert_eq!(basic(first, PASSWORD, "203.0.113.1").await?.status(), StatusCode::OK);
    for (nth, url) in [first, second_url].into_iter().enumerate() {
        let answer = basic(url, "wrong password", &format!("203.0.113.1{nth}")).await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(log_in(&lab, second_url, "nova", "203.0.113.3").await?.status(), StatusCode::UNAUTHORIZED);
    // Neither gateway has seen four by itself.
    for url in [first, second_url] {
        assert_too_many(&basic(url, "wrong password", "203.0.113.4").await?);
        assert_too_many(&log_in(&lab, url, "nova", "203.0.113.5").await?);
    }
    let known = basic(first, PASSWORD, "203.0.113.1").await?;
    assert_eq!(known.status(), StatusCode::OK, "who was verified is not locked out by a guesser");
    second.stop().await;
    Ok(())
}

#[tokio::test]
async fn without_redis_each_gateway_still_counts_by_itself() -> TestResult {
    let mut lab = Lab::start_with(&[], &[PROXIED, "--rate-limit-login-max=2"]).await?;
    lab.servers.redis.kill();
    let url = lab.system.url.clone();
    for nth in 0..2 {
        let answer = log_in(&lab, &url, "victim", &format!("203.0.113.{nth}")).await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "nobody is locked out by a store that is away");
    }
    assert_too_many(&log_in(&lab, &url, "victim", "203.0.113.9").await?);
    Ok(())
}

#[tokio::test]
async fn an_address_that_changes_too_much_is_refused_and_may_go_on_reading() -> TestResult {
    let lab = Lab::start_with(&[], &[PROXIED, "--rate-limit-ip-max=3"]).await?;
    let shoppers = lab.shoppers(4).await?;
    let write = |nth: usize, from: &'static str| {
        let request = lab.http.patch(format!("{}/api/bookings/cancel", lab.system.url));
        let body = json!({"bookingId": "00000000-0000-0000-0000-000000000000"});
        request.bearer_auth(&shoppers[nth].token).header("x-forwarded-for", from).json(&body).send()
    };
    for nth in 0..3 {
        assert_eq!(write(nth, "203.0.113.7").await?.status(), StatusCode::NOT_FOUND);
    }
    assert_too_many(&write(3, "203.0.113.7").await?);
    assert_eq!(write(3, "203.0.113.8").await?.status(), StatusCode::NOT_FOUND);
    let read =
        lab.http.get(format!("{}/api/events", lab.system.url)).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(read.send().await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn whoever_takes_places_in_lines_is_counted_by_address_before_anything_is_looked_at() -> TestResult {
    let lab = Lab::start_with(&[], &[PROXIED, "--rate-limit-ip-max=1"]).await?;
    let paths = [
        (Method::POST, "/api/bookings/1/book"),
        (Method::POST, "/api/bookings/reserve"),
        (Method::POST, "/tickets/1/queue"),
        (Method::PATCH, "/api/seats/select"),
    ];
    for (nth, (method, path)) in paths.into_iter().enumerate() {
        let ask = || {
            let request = lab.http.request(method.clone(), format!("{}{path}", lab.system.url));
            request.header("x-forwarded-for", format!("203.0.113.{nth}")).send()
        };
        assert_eq!(ask().await?.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_too_many(&ask().await?);
    }
    Ok(())
}
