//! What payers see and click.

use super::lab::{Lab, SHOP};

#[tokio::test]
async fn every_choice_leads_back_to_the_shop() {
    let lab = Lab::start().await;
    for (choice, to, status) in [
        ("card", "/pay/success", "authorized"),
        ("sbp", "/pay/success", "captured"),
        ("decline", "/pay/success", "declined"),
        ("leave", "/pay/fail", "open"),
    ] {
        let id = lab.session(choice).await;
        assert_eq!(lab.click(&id, choice).await, (303.try_into().expect("a status"), format!("{SHOP}{to}")));
        assert_eq!(lab.status(&id).await, status, "{choice}");
    }
}

#[tokio::test]
async fn page_is_paid_once_and_says_so_afterwards() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    lab.click(&id, "sbp").await;
    for choice in ["sbp", "card", "decline", "leave"] {
        assert_eq!(lab.click(&id, choice).await.0, 409, "{choice}");
    }
    let page = lab.http.get(format!("{}/pay/{id}", lab.url)).send().await.expect("an answer");
    assert!(page.text().await.expect("text").contains("Paid. Thank you!"));
    lab.until_told(&["payment.captured"]).await;
}

#[tokio::test]
async fn page_loads_nothing_from_elsewhere_and_may_only_lead_back_to_its_shop() {
    let lab = Lab::start().await;
    let id = lab.session("key").await;
    let page = lab.http.get(format!("{}/pay/{id}", lab.url)).send().await.expect("an answer");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.ends_with(&format!("'self' {SHOP} {SHOP}")),
        "{policy}"
    );
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert_eq!(page.headers()["cache-control"], "no-store");
    let text = page.text().await.expect("text");
    assert!(text.contains("lang=\"en\"") && text.contains("50.00 EUR") && text.contains("2 × Stalls"));
}

#[tokio::test]
async fn unknown_pages_and_choices_change_nothing() {
    let lab = Lab::start().await;
    assert_eq!(lab.click("sbx_unknown", "card").await.0, 404);
    let id = lab.session("key").await;
    assert!(lab.click(&id, "steal").await.0.is_client_error());
    assert_eq!(lab.status(&id).await, "open");
    let unknown = lab.http.get(format!("{}/pay/nothing", lab.url)).send().await.expect("an answer");
    assert_eq!(unknown.status(), 404);
}
