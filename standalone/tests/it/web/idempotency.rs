//! The same request twice.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

async fn open(shopper: &Shopper, key: &str, body: &Value) -> Result<Response, reqwest::Error> {
    let request = shopper.http.post(format!("{}/api/bookings", shopper.url)).bearer_auth(&shopper.token);
    request.header("Idempotency-Key", key).json(body).send().await
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_has_one_effect() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let (other_event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let body = json!({"eventId": event});
    let opened = open(&first, "once", &body).await?;
    assert_eq!(opened.status(), StatusCode::CREATED);
    let opened: Value = opened.json().await?;
    let again = open(&first, "once", &body).await?;
    assert_eq!(again.status(), StatusCode::CREATED, "as at the first time, though it is there already");
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<Value>().await?, opened);
    let other = open(&first, "once", &json!({"eventId": other_event})).await?;
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.json::<Value>().await?["code"], "idempotency_mismatch");
    let foreign: Value = open(&second, "once", &body).await?.json().await?;
    assert_ne!(foreign["id"], opened["id"], "another one's key is another key");
    let without: Value = open(&first, "other", &body).await?.json().await?;
    assert_eq!(without["id"], opened["id"]);
    Ok(())
}

#[tokio::test]
async fn what_had_no_effect_may_be_asked_again_under_its_key() -> TestResult {
    let lab = Lab::start().await?;
    let shopper = lab.shopper().await?;
    let body = json!({"eventId": 1});
    assert_eq!(open(&shopper, "early", &body).await?.status(), StatusCode::NOT_FOUND);
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    assert_eq!(event.0, 1);
    eventually("the event is known and the request is made", async || {
        let opened = open(&shopper, "early", &body).await;
        opened.is_ok_and(|opened| opened.status() == StatusCode::CREATED)
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_worked_on_is_not_begun_twice_until_it_is_given_up() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    let body = json!({"eventId": event});
    open(&shopper, "slow", &body).await?;
    let forget = |age: &'static str| {
        let statement = "update idempotent_requests set answer = null, created_at = now() - $1::interval";
        sqlx::query(statement).bind(age).execute(lab.store().pool())
    };
    forget("10 seconds").await?;
    let waiting = open(&shopper, "slow", &body).await?;
    assert_eq!(waiting.status(), StatusCode::CONFLICT);
    assert_eq!(waiting.json::<Value>().await?["code"], "in_progress");
    forget("2 minutes").await?;
    assert_eq!(open(&shopper, "slow", &body).await?.status(), StatusCode::OK, "the open booking is found");
    Ok(())
}

#[tokio::test]
async fn who_hung_up_finds_the_answer_under_their_key() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    let body = json!({"eventId": event});
    // The same booking, made at the same time and then not after all: theirs has to wait.
    let mut held = lab.store().pool().begin().await?;
    let booking = "insert into bookings (id, event_id, user_id, expires_at)
        values (gen_random_uuid(), $1, $2, now() + interval '1 hour')";
    sqlx::query(booking).bind(event.0).bind(shopper.id.0).execute(&mut *held).await?;
    tokio::select! {
        answer = open(&shopper, "gone", &body) => return Err(format!("it does not wait: {answer:?}").into()),
        () = eventually("it waits", async || {
            lab.waiting_for_locks("%insert into bookings%").await.is_ok_and(|waiting| waiting > 0)
        }) => {}
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    held.rollback().await?;
    eventually("the answer is there", async || {
        let again = open(&shopper, "gone", &body).await;
        again.is_ok_and(|again| {
            again.status() == StatusCode::CREATED && again.headers().contains_key("idempotent-replayed")
        })
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn what_is_kept_tells_nothing_to_who_has_the_row_alone() -> TestResult {
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    let opened: Value = open(&shopper, "sealed", &json!({"eventId": event})).await?.json().await?;
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("select answer from idempotent_requests where answer is not null")
            .fetch_all(lab.store().pool())
            .await?;
    let id = opened["id"].as_str().ok_or("id")?.as_bytes();
    assert_eq!(rows.len(), 1);
    assert!(rows.iter().all(|row| !row.windows(id.len()).any(|part| part == id)));
    Ok(())
}
