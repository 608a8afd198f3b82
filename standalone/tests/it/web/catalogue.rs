//! Events, seat maps, and what is left.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, TestResult, eventually, make_event};

#[tokio::test]
async fn a_stadium_is_told_in_thirty_kilobytes_and_not_twice() -> TestResult {
    let lab = Lab::start().await?;
    assert!(lab.store().load_demo("no hash").await?);
    assert!(!lab.store().load_demo("no hash").await?, "demo data is loaded once");
    let unverified: i64 = sqlx::query_scalar("select count(*) from users where email_verified_at is null")
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(unverified, 0, "demo accounts need no code");
    let events: Value = lab.http.get(format!("{}/api/events", lab.system.url)).send().await?.json().await?;
    let stadium =
        events["items"].as_array().and_then(|items| items.iter().find(|item| item["totalSeats"] == 100_000));
    let stadium = stadium.ok_or("the stadium is listed")?;
    assert_eq!((&events["total"], &stadium["status"]), (&json!(3), &json!("on_sale")));
    let url = format!("{}/api/events/{}", lab.system.url, stadium["id"]);
    let detail: Value = lab.http.get(&url).send().await?.json().await?;
    assert_eq!(detail["tiers"].as_array().map(Vec::len), Some(3));
    assert_eq!(detail["sections"].as_array().map(Vec::len), Some(40));
    let map = lab.http.get(format!("{url}/seatmap")).send().await?;
    let etag = map.headers()["etag"].clone();
    let map: Value = map.json().await?;
    let seats = map["sections"].as_array().into_iter().flatten();
    let seats = seats.flat_map(|section| section["rows"].as_array().into_iter().flatten());
    let count: usize = seats.map(|row| row["seats"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(count, 100_000);
    let known = lab.http.get(format!("{url}/seatmap")).header("if-none-match", etag).send().await?;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let left = lab.http.get(format!("{url}/availability")).send().await?;
    let etag = left.headers()["etag"].clone();
    let bytes = left.bytes().await?;
    assert_eq!(bytes.len(), 24 + 25_000);
    assert_eq!((&bytes[..4], u32::from_le_bytes(bytes[16..20].try_into()?)), (&b"UA01"[..], 100_000));
    assert!(bytes[24..].iter().all(|byte| *byte == 0), "everything is available");
    let known = lab.http.get(format!("{url}/availability")).header("if-none-match", etag).send().await?;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    Ok(())
}

#[tokio::test]
async fn seats_are_paged_and_told_as_available_reserved_sold_and_in_queue() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let [shopper, other]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    shopper.outcome(&shopper.book_seats(event, &seats[..2]).await?).await?;
    sqlx::query("update seat_claims set status = 'sold', expires_at = null where seat_id = $1")
        .bind(seats[1].0)
        .execute(lab.store().pool())
        .await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    other.book_seats(event, &seats[5..6]).await?;
    // A gateway that starts now reads the claims, and the line, from the stores.
    let late = lab.add(&[Part::Gateway]).await?;
    let there = shopper.at(&late.url);
    eventually("the wanted seat is told", async || {
        let path = format!("/api/seats?event_id={event}&status=in_queue");
        there.get(&path).await.is_ok_and(|(_, list)| list["items"][0]["id"] == json!(seats[5]))
    })
    .await;
    let list = async |query: &str| {
        Ok::<_, reqwest::Error>(there.get(&format!("/api/seats?event_id={event}{query}")).await?.1)
    };
    assert_eq!(list("&status=reserved").await?["items"][0]["id"], json!(seats[0]));
    assert_eq!(list("&status=sold").await?["items"][0]["id"], json!(seats[1]));
    assert_eq!(list("&status=available").await?["total"], 7);
    let page = list("&page=2&pageSize=4").await?;
    assert_eq!((page["items"].as_array().map(Vec::len), &page["total"]), (Some(4), &json!(10)));
    assert_eq!(page["items"][0]["id"], json!(seats[4]));
    assert_eq!(list("&row=2").await?["total"], 5);
    let (_, detail) = there.get(&format!("/api/events/{event}")).await?;
    assert_eq!((&detail["totalSeats"], &detail["availableSeats"]), (&json!(10), &json!(8)));
    late.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_left_and_places_are_told_from_memory_while_both_stores_stand_still() -> TestResult {
    // PostgreSQL gives a lock up after twice as long, so nobody can have asked it.
    const AT_ONCE: Duration = Duration::from_secs(1);
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(2, 5)).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book_seats(event, &seats[..1]).await?;
    let availability = format!("{}/api/events/{event}/availability", lab.system.url);
    let place = format!("{}/api/bookings/status/{job}", lab.system.url);
    let is_told = async |url: &str| {
        let asked = lab.http.get(url).bearer_auth(&shopper.token).send();
        matches!(tokio::time::timeout(AT_ONCE, asked).await, Ok(Ok(answer)) if answer.status() == StatusCode::OK)
    };
    assert!(is_told(&availability).await && is_told(&place).await, "both are known");

    let mut standstill = lab.store().pool().begin().await?;
    sqlx::raw_sql(
        "do $$ declare name text; begin
             for name in select tablename from pg_tables where schemaname = 'public' loop
                 execute format('lock table public.%I in access exclusive mode', name);
             end loop;
         end $$",
    )
    .execute(&mut *standstill)
    .await?;
    lab.servers.redis.pause()?;
    let mut is_all_told = true;
    // In less than the five seconds for which an event is fresh.
    for _ in 0..100 {
        is_all_told = is_all_told && is_told(&availability).await && is_told(&place).await;
    }
    lab.servers.redis.resume()?;
    standstill.rollback().await?;
    assert!(is_all_told, "somebody waited for a store");
    Ok(())
}

#[tokio::test]
async fn a_sale_that_has_not_begun_or_is_over_takes_nobody_in() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shopper = lab.shopper().await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    sqlx::query("update events set sales_close_at = now() - interval '1 minute' where id = $1")
        .bind(event.0)
        .execute(lab.store().pool())
        .await?;
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let (status, refused) =
        shopper.post(&format!("/api/bookings/{event}/book"), json!({"quantity": 2})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("sale_closed")));
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(shopper.outcome(&job).await?["code"], "sale_closed", "who was still waiting is told");
    Ok(())
}
