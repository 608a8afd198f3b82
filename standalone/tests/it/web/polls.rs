//! Polls: answered from memory before anything is routed, and alike where they are routed.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, ORIGIN, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use shared::domain::EventId;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

/// Of two who wait while nobody decides, the second, and what the poll of their job is.
async fn second_in_line(lab: &Lab) -> Result<(EventId, Shopper, String), Box<dyn std::error::Error>> {
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    first.book(event, json!({"quantity": 1})).await?;
    let path = format!("/api/bookings/status/{}", second.book(event, json!({"quantity": 1})).await?);
    eventually("the place is known", async || {
        second.get(&path).await.is_ok_and(|(_, status)| status["place"] == 2)
    })
    .await;
    Ok((event, second, path))
}

/// Asks at once, and by way of the router, to which pages of other origins are left; both say the same.
async fn ask(poll: RequestBuilder) -> Result<(StatusCode, Value), Box<dyn std::error::Error>> {
    let mut answers = Vec::new();
    let routed = poll.try_clone().ok_or("a body")?.header(ORIGIN, "https://elsewhere.test");
    for poll in [poll, routed] {
        let answer = poll.send().await?;
        let header = |name: HeaderName| answer.headers().get(name).cloned();
        let headers = [CONTENT_TYPE, HeaderName::from_static("x-content-type-options")].map(header);
        let (status, mut body) = (answer.status(), answer.json::<Value>().await?);
        // Each problem has an id of its own.
        body.as_object_mut().ok_or("an object")?.remove("requestId");
        answers.push((status, headers, body));
    }
    assert_eq!(answers[0], answers[1]);
    let (status, _, body) = answers.swap_remove(0);
    Ok((status, body))
}

#[tokio::test]
async fn a_poll_is_answered_at_once_as_it_is_by_way_of_the_router() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, second, path) = second_in_line(&lab).await?;
    let poll = || lab.http.get(format!("{}{path}", lab.system.url));
    let (status, own) = ask(poll().bearer_auth(&second.token)).await?;
    assert_eq!((status, &own["userId"]), (StatusCode::OK, &json!(second.id)));
    let cookie = format!("usher_access={}", second.token);
    assert_eq!(ask(poll().header(COOKIE, cookie)).await?, (status, own.clone()));
    let mut foreign = own;
    foreign.as_object_mut().ok_or("an object")?.remove("userId");
    assert_eq!(foreign["eventId"], json!(event));
    for anybody in [poll(), poll().header(COOKIE, "usher_access=stale"), poll().query(&[("a", "b")])] {
        assert_eq!(ask(anybody).await?, (StatusCode::OK, foreign.clone()));
    }
    for garbled in ["nonsense", "Bearer stale", "Bearer usher_key_unknown", "Basic ????"] {
        assert_eq!(
            ask(poll().header(AUTHORIZATION, garbled)).await?.0,
            StatusCode::UNAUTHORIZED,
            "{garbled}"
        );
    }
    let forged = lab.http.get(format!("{}{path}A", lab.system.url));
    assert!(ask(forged).await?.0.is_client_error());
    // Other methods are the router's own.
    for (method, expected) in [(Method::HEAD, StatusCode::OK), (Method::POST, StatusCode::METHOD_NOT_ALLOWED)]
    {
        let answer = lab.http.request(method, format!("{}{path}", lab.system.url)).send().await?;
        assert_eq!(answer.status(), expected);
    }
    Ok(())
}

#[tokio::test]
async fn polls_are_counted_for_their_address_and_once() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (.., path) = second_in_line(&lab).await?;
    // Another gateway, of whose budget nothing has been used.
    let strict = lab.add_with(&[Part::Gateway], &["--rate-limit-reads-per-second=20"]).await?;
    let poll = || lab.http.get(format!("{}{path}", strict.url)).send();
    for nth in 0..20 {
        assert_eq!(poll().await?.status(), StatusCode::OK, "{nth}");
    }
    let more = futures_util::future::try_join_all((0..200).map(|_| poll())).await?;
    let refused = more.iter().find(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.ok_or("a budget that is kept")?.headers().contains_key(RETRY_AFTER));
    Ok(())
}
