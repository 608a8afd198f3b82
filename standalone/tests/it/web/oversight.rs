//! Errors and activity, as the administration panel shows them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::messages;
use shared::store::{NewNamedJob, insert_job};

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

/// The one error of a process with a code, once it is listed and as it should be.
async fn error_of(
    operator: &Shopper,
    (process, code): (&str, &str),
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<Value, Box<dyn std::error::Error>> {
    let path = format!("/api/admin/errors?process={process}&code={code}");
    let mut found = Value::Null;
    eventually(&format!("{code} of {process} is listed"), async || {
        let answer = operator.get(&path).await;
        found = answer.map(|(_, list)| list["items"][0].clone()).unwrap_or_default();
        is_wanted(&found)
    })
    .await;
    assert!(
        found["process"].as_str().is_some_and(|name| name.starts_with(&format!("{process}@"))),
        "{found}"
    );
    assert_eq!(found["code"], code, "{found}");
    Ok(found)
}

/// When it was seen first and last.
fn seen(error: &Value) -> Result<[DateTime<Utc>; 2], Box<dyn std::error::Error>> {
    let time =
        |name: &str| Ok::<_, Box<dyn std::error::Error>>(error[name].as_str().ok_or("a time")?.parse()?);
    Ok([time("firstSeen")?, time("lastSeen")?])
}

#[tokio::test]
async fn errors_are_counted_by_process_and_code_with_the_last_request() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let begun = Utc::now();
    let (_, told) = operator.get("/api/events/987654").await?;
    let first = error_of(&operator, ("gateway", "not_found"), |error| error["count"] == 1).await?;
    assert_eq!(first["requestId"], told["requestId"]);
    assert!(told["requestId"].is_string(), "{told}");
    let [first_seen, last_seen] = seen(&first)?;
    assert!(begun < last_seen && first_seen == last_seen && last_seen < Utc::now(), "{first}");
    let (_, told) = operator.get("/api/events/987654").await?;
    let second = error_of(&operator, ("gateway", "not_found"), |error| error["count"] == 2).await?;
    assert_eq!(second["requestId"], told["requestId"], "that of the last one");
    let [still, moved] = seen(&second)?;
    assert!(still == first_seen && moved > last_seen && moved < Utc::now(), "{first}, then {second}");
    let (_, none) = operator.get("/api/admin/errors?process=worker&code=not_found").await?;
    assert_eq!(none["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn errors_of_workers_and_sweepers_are_listed_as_those_of_gateways() -> TestResult {
    let mut lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    let nonsense = NewNamedJob { queue: messages::QUEUE, lane: 0, payload: "no message", run_at: None };
    for count in 1..=2 {
        insert_job(&mut *lab.store().pool().acquire().await?, &nonsense).await?;
        let failed = error_of(&operator, ("worker", "job_failed"), |error| error["count"] == count).await?;
        let [first, last] = seen(&failed)?;
        assert!((first == last) == (count == 1) && first <= last, "{failed}");
        assert_eq!(failed.get("requestId"), None, "no request met it: {failed}");
    }
    lab.servers.redis.kill();
    let failed = error_of(&operator, ("sweeper", "queue_unavailable"), Value::is_object).await?;
    let count = failed["count"].as_i64().ok_or("a count")?;
    let more = error_of(&operator, ("sweeper", "queue_unavailable"), |error| {
        error["count"].as_i64().is_some_and(|now| now > count)
    })
    .await?;
    let ([first, last], [still, moved]) = (seen(&failed)?, seen(&more)?);
    assert!(first == still && last < moved, "{failed}, then {more}");
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
