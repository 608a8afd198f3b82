//! What the owner of a ticket gets, and nobody else.

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::OrderId;
use shared::tickets::{JwkSet, TicketVerifier};

use super::{Evening, Fallible};
use crate::lab::{Lab, TestResult};

/// How many pages the page tree of a PDF says there are.
pub(super) fn pages(pdf: &[u8]) -> usize {
    let text = String::from_utf8_lossy(pdf);
    let counts = text.split("/Count ").skip(1);
    let count = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    counts.filter_map(count).max().unwrap_or(0)
}

/// A document: its media type, its file's name, its bytes.
async fn document(evening: &Evening, path: &str) -> Fallible<(String, String, Vec<u8>)> {
    let url = format!("{}{path}", evening.owner.url);
    let answer =
        evening.lab.http.get(url).bearer_auth(&evening.owner.token).send().await?.error_for_status()?;
    let header = |name| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    assert_eq!(header("cache-control"), "private, no-store");
    let (kind, file) = (header("content-type"), header("content-disposition"));
    Ok((kind, file, answer.bytes().await?.to_vec()))
}

#[tokio::test]
async fn the_owner_gets_every_document_in_every_language() -> TestResult {
    let evening = Evening::start(1).await?;
    let (path, number) = (evening.path(0), evening.text(0, "number"));
    let mut sizes = std::collections::BTreeSet::new();
    for format in ["a4", "phone"] {
        for language in ["en", "uk", "ru"] {
            let query = format!("{path}/pdf?format={format}&language={language}");
            let (kind, file, pdf) = document(&evening, &query).await?;
            assert_eq!(kind, "application/pdf");
            assert_eq!(file, format!("attachment; filename=\"ticket-{number}.pdf\""));
            assert!(pdf.starts_with(b"%PDF"), "{query}");
            assert_eq!(pages(&pdf), 1, "{query}");
            sizes.insert(pdf.len());
        }
    }
    assert!(sizes.len() > 3, "they differ: {sizes:?}");
    let (kind, _, calendar) = document(&evening, &format!("{path}/calendar?language=uk")).await?;
    assert_eq!(kind, "text/calendar; charset=utf-8");
    let calendar = String::from_utf8(calendar)?.replace("\r\n ", "");
    for part in
        ["SUMMARY:Test event\r\n", &format!("Номер квитка: {number}"), "LOCATION:Test hall\\, Testville"]
    {
        assert!(calendar.contains(part), "{part} in {calendar}");
    }
    let (kind, _, svg) = document(&evening, &format!("{path}/qr")).await?;
    assert_eq!((kind.as_str(), svg.starts_with(b"<svg ")), ("image/svg+xml", true));
    evening.sql("update users set language = 'uk'").await?;
    let (_, _, calendar) = document(&evening, &format!("{path}/calendar")).await?;
    assert!(String::from_utf8(calendar)?.contains("Номер квитка"), "in the account's language");
    for query in ["pdf?format=papyrus", "pdf?language=xx", "calendar?language=xx"] {
        let (status, problem) = evening.owner.get(&format!("{path}/{query}")).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_request")), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn tickets_are_listed_in_pages_with_their_state() -> TestResult {
    let evening = Evening::start(3).await?;
    let (_, list) = evening.owner.get("/api/tickets?page=1&page_size=2").await?;
    assert_eq!((list["items"].as_array().map(Vec::len), &list["total"]), (Some(2), &json!(3)));
    assert!(list["items"][0].get("code").is_none(), "codes are not handed out in lists");
    let (_, rest) = evening.owner.get("/api/tickets?page=2&pageSize=2").await?;
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    let first = &evening.tickets[0];
    assert_eq!((&first["status"], &first["place"]), (&json!("valid"), &json!("Hall, row 1, seat 1")));
    assert_eq!((&first["holder"], &first["venue"]["timeZone"]), (&json!("Test Shopper"), &json!("UTC")));
    assert_eq!(first["price"], json!({"amount": 1_000, "currency": "EUR"}));
    let state = async || Ok::<Value, reqwest::Error>(evening.owner.get(&evening.path(0)).await?.1);
    evening.sql("update events set starts_at = now() - interval '13 hours'").await?;
    let expired = state().await?;
    assert_eq!((&expired["status"], expired.get("code")), (&json!("expired"), None));
    evening.sql("update events set status = 'cancelled'").await?;
    assert_eq!(state().await?["status"], "cancelled");
    let (status, problem) = evening.owner.get("/api/tickets?pageSize=101").await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")));
    Ok(())
}

#[tokio::test]
async fn a_ticket_tells_the_time_at_its_venue() -> TestResult {
    let evening = Evening::start(1).await?;
    evening.sql("update venues set time_zone = 'Asia/Kolkata'").await?;
    let id = shared::domain::TicketId(evening.text(0, "id").parse()?);
    let ticket = evening.lab.store().tickets(&[id], 12).await?.pop().ok_or("a ticket")?;
    let ahead = ticket.starts_there - ticket.starts_at.naive_utc();
    assert_eq!(ahead, chrono::TimeDelta::minutes(330));
    let (_, seen) = evening.owner.get(&evening.path(0)).await?;
    assert_eq!(seen["venue"]["timeZone"], "Asia/Kolkata");
    assert!(evening.sql("update venues set time_zone = 'Atlantis/Capital'").await.is_err(), "no such zone");
    Ok(())
}

#[tokio::test]
async fn nobody_else_gets_a_ticket() -> TestResult {
    let evening = Evening::start(1).await?;
    let stranger = evening.lab.shopper().await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    let admin = evening.lab.with_role(Role::Admin).await?;
    let path = evening.path(0);
    for person in [&stranger, &scanner] {
        for what in ["", "/pdf", "/pdf?format=phone", "/calendar", "/qr"] {
            let (status, problem) = person.get(&format!("{path}{what}")).await?;
            assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{what}");
        }
        assert_eq!(person.get("/api/tickets").await?.1["total"], 0);
    }
    let (status, seen) = admin.get(&path).await?;
    assert_eq!((status, seen.get("code")), (StatusCode::OK, None), "admins see it, and cannot go in with it");
    assert_eq!(admin.get(&format!("{path}/pdf")).await?.0, StatusCode::NOT_FOUND);
    for what in ["", "/pdf", "/qr"] {
        let answer = evening.lab.http.get(format!("{}{path}{what}", stranger.url)).send().await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
    }
    for id in [OrderId::new().to_string(), "no-id".to_owned()] {
        let (status, problem) = evening.owner.get(&format!("/api/tickets/{id}/pdf")).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cancelled_ticket_is_not_printed() -> TestResult {
    let evening = Evening::start(1).await?;
    evening.sql("update tickets set status = 'cancelled', cancelled_at = now()").await?;
    for what in ["pdf", "calendar", "qr"] {
        let (status, problem) = evening.owner.get(&format!("{}/{what}", evening.path(0))).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("ticket_cancelled")), "{what}");
    }
    let (_, ticket) = evening.owner.get(&evening.path(0)).await?;
    assert_eq!((&ticket["status"], ticket.get("code")), (&json!("cancelled"), None));
    assert!(ticket["cancelledAt"].is_string());
    Ok(())
}

async fn published(lab: &Lab) -> Fallible<JwkSet> {
    let answer = lab.http.get(format!("{}/.well-known/usher-tickets.json", lab.system.url)).send().await?;
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("content-type"), "application/jwk-set+json");
    assert_eq!(header("cache-control"), "public, max-age=3600");
    Ok(answer.json().await?)
}

#[tokio::test]
async fn codes_are_checked_offline_with_the_published_keys() -> TestResult {
    let evening = Evening::start(2).await?;
    let set = published(&evening.lab).await?;
    assert_eq!((set.keys.len(), set.keys[0].kty.as_str(), set.keys[0].crv.as_str()), (1, "OKP", "Ed25519"));
    let offline = TicketVerifier::from_jwks(&set);
    let says = offline.verify(&evening.text(0, "code"))?;
    assert_eq!((says.id.to_string(), says.number), (evening.text(0, "id"), evening.text(0, "number")));
    assert_eq!((says.event, says.place.as_str()), (evening.event, "Hall, row 1, seat 1"));
    let (first, second) = (evening.text(0, "code"), evening.text(1, "code"));
    let (signed, _) = first.rsplit_once('.').ok_or("a signature")?;
    let (_, signature) = second.rsplit_once('.').ok_or("a signature")?;
    assert!(offline.verify(&format!("{signed}.{signature}")).is_err(), "a signature is for one ticket");
    Ok(())
}
