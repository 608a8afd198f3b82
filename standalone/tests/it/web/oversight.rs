//! Errors and activity, as the administration panel shows them.

use serde_json::{Value, json};
use shared::auth::Role;

use crate::lab::{EventPlan, Lab, TestResult, eventually, make_event};

#[tokio::test]
async fn errors_are_counted_by_process_and_code_with_the_last_request() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.get("/api/events/987654").await?;
    let (_, last) = operator.get("/api/events/987654").await?;
    eventually("both are seen", async || {
        let answer = operator.get("/api/admin/errors?process=gateway&code=not_found").await;
        let items = answer.map(|(_, list)| list["items"].clone()).unwrap_or_default();
        let Some(item) = items.get(0) else { return false };
        item["process"].as_str().is_some_and(|process| process.starts_with("gateway@"))
            && item["count"].as_i64().is_some_and(|count| count >= 2)
            && item["requestId"] == last["requestId"]
            && item["firstSeen"].as_str() <= item["lastSeen"].as_str()
    })
    .await;
    let (_, none) = operator.get("/api/admin/errors?process=worker&code=not_found").await?;
    assert_eq!(none["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn what_people_do_is_counted_by_the_minute() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let person = json!({"email": "busy@example.test", "password": "long enough", "firstName": "Busy",
        "lastName": "Shopper", "consent": true});
    let url = |path: &str| format!("{}/api/auth/{path}", lab.system.url);
    lab.http.post(url("register")).json(&person).send().await?.error_for_status()?;
    let login = json!({"login": "busy@example.test", "password": "long enough"});
    lab.http.post(url("login")).json(&login).send().await?.error_for_status()?;
    for shopper in lab.shoppers(2).await? {
        shopper.outcome(&shopper.book(event, json!({"quantity": 1})).await?).await?;
    }
    assert_eq!(seats.len(), 1);
    let sum = |items: &Value, field: &str| -> i64 {
        items.as_array().into_iter().flatten().filter_map(|minute| minute[field].as_i64()).sum()
    };
    eventually("all of it is counted", async || {
        let answer = operator.get("/api/admin/activity?minutes=5").await;
        let items = answer.map(|(_, list)| list["items"].clone()).unwrap_or_default();
        ["registrations", "logins", "bookings", "refusals"].iter().all(|field| sum(&items, field) == 1)
    })
    .await;
    Ok(())
}
