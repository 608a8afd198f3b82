//! What answers tell browsers, and what pages of other origins may do.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::lab::{Lab, TestResult};

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn every_kind_of_answer_says_what_it_may_be_used_for() -> TestResult {
    let lab = Lab::start().await?;
    for path in ["/concerts", "/docs/", "/api/openapi.json", "/api/events", "/api/events/1", "/health"] {
        let answer = lab.http.get(format!("{}{path}", lab.system.url)).send().await?;
        let headers = answer.headers();
        assert_eq!(text(headers, "x-content-type-options"), "nosniff", "{path}");
        assert!(text(headers, "content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(!text(headers, "content-security-policy").contains("script-src 'unsafe"), "{path}");
        assert_eq!(text(headers, "referrer-policy"), "same-origin", "{path}");
        assert!(text(headers, "permissions-policy").contains("geolocation=()"), "{path}");
        assert_eq!(text(headers, "strict-transport-security"), "", "{path}: not without TLS");
    }
    // Polls carry only what matters for JSON.
    for path in ["/api/bookings/status/x", "/nothing/here"] {
        let answer = lab.http.get(format!("{}{path}", lab.system.url)).send().await?;
        assert_eq!(text(answer.headers(), "x-content-type-options"), "nosniff", "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn only_listed_origins_may_use_the_api_from_their_pages() -> TestResult {
    let lab = Lab::start_with(&[], &["--allowed-origins=https://partner.test"]).await?;
    let preflight = |origin: &'static str, path: &str| {
        let request = lab.http.request(Method::OPTIONS, format!("{}{path}", lab.system.url));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization,content-type,idempotency-key").send()
    };
    for path in ["/api/bookings", "/api/bookings/status/x"] {
        let listed = preflight("https://partner.test", path).await?;
        assert_eq!(listed.status(), StatusCode::OK, "{path}");
        assert_eq!(text(listed.headers(), "access-control-allow-origin"), "https://partner.test");
        assert!(text(listed.headers(), "access-control-allow-headers").contains("authorization"));
        assert_eq!(text(listed.headers(), "access-control-allow-credentials"), "", "cookies stay at home");
        let other = preflight("https://evil.test", path).await?;
        assert_eq!(text(other.headers(), "access-control-allow-origin"), "", "{path}");
    }
    let read =
        lab.http.get(format!("{}/api/events", lab.system.url)).header("origin", "https://partner.test");
    assert_eq!(text(read.send().await?.headers(), "access-control-allow-origin"), "https://partner.test");

    let closed = Lab::start().await?;
    let read =
        closed.http.get(format!("{}/api/events", closed.system.url)).header("origin", "https://partner.test");
    assert_eq!(text(read.send().await?.headers(), "access-control-allow-origin"), "", "none is listed");
    Ok(())
}
