//! Who may look into the mailbox.

use reqwest::StatusCode;
use shared::auth::Role;
use shared::messages::Message;

use super::{person, to, until_finished, write};
use crate::lab::{EventPlan, Lab, TestResult, make_event};

#[tokio::test]
async fn the_mailbox_is_closed_unless_it_is_opened() -> TestResult {
    for words in [
        &[][..],
        &[
            "--mailbox-open=true",
            "--smtp-url=smtp://127.0.0.1:1",
            "--sms-provider=off",
            "--push-provider=off",
        ],
    ] {
        let lab = Lab::start_with(&[], words).await?;
        let admin = lab.with_role(Role::Admin).await?;
        for path in ["/mailbox", "/api/mailbox"] {
            let (status, answer) = admin.get(path).await?;
            assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &"not_found".into()), "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn from_elsewhere_only_admins_see_the_mailbox() -> TestResult {
    let lab = Lab::start_with(&[], &["--mailbox-open=true", "--trusted-proxies=127.0.0.1"]).await?;
    for (role, expected) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(Role::Shopper), StatusCode::FORBIDDEN),
        (Some(Role::Operator), StatusCode::FORBIDDEN),
        (Some(Role::Admin), StatusCode::OK),
    ] {
        for path in ["/mailbox", "/api/mailbox"] {
            let mut request = lab.http.get(format!("{}{path}", lab.system.url));
            request = request.header("x-forwarded-for", "203.0.113.9");
            if let Some(role) = role {
                request = request.bearer_auth(lab.with_role(role).await?.token);
            }
            assert_eq!(request.send().await?.status(), expected, "{role:?} {path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_page_or_a_proxy_on_this_machine_does_not_open_the_mailbox() -> TestResult {
    let lab = Lab::start_with(&[], &["--mailbox-open=true"]).await?;
    let url = format!("{}/mailbox", lab.system.url);
    assert_eq!(lab.http.get(&url).send().await?.status(), StatusCode::OK);
    for (name, value) in
        [("host", "rebound.test"), ("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1")]
    {
        let answer = lab.http.get(&url).header(name, value).send().await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}: {value}");
    }
    Ok(())
}

#[tokio::test]
async fn the_page_shows_what_was_sent_newest_first_and_loads_nothing() -> TestResult {
    let lab = Lab::start_with(&[], &["--mailbox-open=true"]).await?;
    let url = format!("{}/mailbox", lab.system.url);
    let empty = lab.http.get(&url).send().await?.text().await?;
    assert!(empty.contains("Nothing yet"), "{empty}");
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = person(&lab, "nova@example.test", "en").await?;
    for place in ["<Row> 1", "Row 2"] {
        write(&lab, to(shopper.id), Message::PlaceRemoved { event, place: place.to_owned() }).await?;
        until_finished(&lab).await;
    }
    let answer = lab.http.get(&url).send().await?;
    let policy = answer.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = answer.text().await?;
    let at = |words: &str| page.find(words).ok_or_else(|| format!("{words} is missing in {page}"));
    assert!(at("out of the hall: Row 2")? < at("out of the hall: &lt;Row&gt; 1")?, "newest first");
    at("nova@example.test")?;
    at("iframe sandbox")?;
    let one = lab.http.get(format!("{url}?limit=1")).send().await?.text().await?;
    assert!(!one.contains("&lt;Row&gt; 1"), "one only");
    let wrong = lab.http.get(format!("{url}?limit=many")).send().await?;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    Ok(())
}
