//! What people are told because something has happened.

use serde_json::{Value, json};
use shared::domain::EventId;
use uuid::Uuid;

use super::tell;
use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

/// Messages of a kind, by whom they go to; whether they are sent yet does not matter.
async fn messages(lab: &Lab, kind: &str) -> Vec<(i64, Value)> {
    let rows: Result<Vec<(i64, Value)>, sqlx::Error> = sqlx::query_as(
        "select (payload -> 'to' ->> 'id')::bigint, payload -> 'message' from jobs
         where queue = 'messages' and payload -> 'message' ->> 'kind' = $1 order by 1",
    )
    .bind(kind)
    .fetch_all(lab.store().pool())
    .await;
    rows.unwrap_or_default()
}

#[tokio::test]
async fn a_booking_is_told_once_and_its_end_too() -> TestResult {
    let lab = Lab::start_with(&[], &["--notify-reserved=true", "--notify-expired=true"]).await?;
    let plan = EventPlan { hold_seconds: 3, ..EventPlan::hall(2, 5) };
    let (event, _, _) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    for _ in 0..2 {
        let job = shopper.book(event, json!({"quantity": 2})).await?;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    }
    eventually("seats are told", async || !messages(&lab, "seats_reserved").await.is_empty()).await;
    eventually("the end is told", async || !messages(&lab, "reservation_expired").await.is_empty()).await;
    let reserved = messages(&lab, "seats_reserved").await;
    let [(user, message)] = reserved.as_slice() else {
        return Err(format!("one message: {reserved:?}").into());
    };
    assert_eq!(*user, shopper.id.0);
    let booking: Uuid = sqlx::query_scalar("select id from bookings where event_id = $1")
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(message["booking"], json!(booking));
    Ok(())
}

#[tokio::test]
async fn who_switched_it_off_is_told_nothing() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    shopper.outcome(&job).await?;
    eventually("the fact is handled", async || {
        sqlx::query_scalar::<_, i64>(
            "select count(*) from stream_marks where grp = 'notifications' and seq > 0",
        )
        .fetch_one(lab.store().pool())
        .await
        .is_ok_and(|marks| marks > 0)
    })
    .await;
    assert_eq!(messages(&lab, "seats_reserved").await, []);
    Ok(())
}

/// Items of an order in this state, one for each seat.
async fn order(lab: &Lab, event: EventId, shopper: &Shopper, states: &[&str]) -> Result<Uuid, sqlx::Error> {
    let order = Uuid::now_v7();
    sqlx::query(
        "insert into orders (id, user_id, currency, total_minor, pay_until) values ($1, $2, 'EUR', 1000, now() + interval '1 hour')",
    )
    .bind(order)
    .bind(shopper.id.0)
    .execute(lab.store().pool())
    .await?;
    for state in states {
        let seat: i64 = sqlx::query_scalar(
            "select id from seats s where event_id = $1
                 and not exists (select 1 from order_items i where i.seat_id = s.id) order by id limit 1",
        )
        .bind(event.0)
        .fetch_one(lab.store().pool())
        .await?;
        sqlx::query(
            "insert into order_items (id, order_id, booking_id, event_id, seat_id, tier_name, place, price_minor, status)
             values ($1, $2, $3, $4, $5, 'One', 'Seat', 1000, $6)",
        )
        .bind(Uuid::now_v7())
        .bind(order)
        .bind(Uuid::now_v7())
        .bind(event.0)
        .bind(seat)
        .bind(*state)
        .execute(lab.store().pool())
        .await?;
    }
    Ok(order)
}

#[tokio::test]
async fn everybody_with_places_is_told_once_that_an_event_changes_or_does_not_take_place() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(60, 50)).await?;
    let shoppers = lab.shoppers(4).await?;
    // More than go into one part, so that one person is met in several.
    order(&lab, event, &shoppers[0], &vec!["sold"; 1_200]).await?;
    order(&lab, event, &shoppers[1], &["sold", "refunded"]).await?;
    order(&lab, event, &shoppers[2], &["refunded", "released"]).await?;
    order(&lab, event, &shoppers[3], &["held"]).await?;
    tell(lab.store(), event, "event.changed", &[json!({"eventId": event, "changed": ["startsAt"]})]).await?;
    eventually("the change is told", async || messages(&lab, "event_changed").await.len() >= 3).await;
    let refunding = order(&lab, event, &shoppers[2], &["refunded"]).await?;
    // Its money goes back because of the cancellation, before anybody is told of that.
    sqlx::query(
        "with payment as (
             insert into payments (id, order_id, provider, status, amount_minor, currency)
             values ($1, $2, 'sandbox', 'captured', 1000, 'EUR') returning id
         ), refund as (
             insert into refunds (id, order_id, payment_id, amount_minor, currency, reason, created_at)
             select $1, $2, id, 1000, 'EUR', 'event_cancelled', clock_timestamp() + interval '1 minute' from payment
             returning id
         )
         insert into refund_items (order_item_id, refund_id)
         select i.id, refund.id from order_items i, refund where i.order_id = $2",
    )
    .bind(Uuid::now_v7())
    .bind(refunding)
    .execute(lab.store().pool())
    .await?;
    tell(lab.store(), event, "event.cancelled", &[json!({"eventId": event})]).await?;
    eventually("all broadcasts are out", async || {
        sqlx::query_scalar::<_, i64>("select count(*) from broadcasts where finished_at is not null")
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|out| out == 2)
    })
    .await;
    let told = |list: Vec<(i64, Value)>| list.into_iter().map(|(user, _)| user).collect::<Vec<i64>>();
    let ids: Vec<i64> = shoppers.iter().map(|shopper| shopper.id.0).collect();
    assert_eq!(told(messages(&lab, "event_changed").await), [ids[0], ids[1], ids[3]]);
    assert_eq!(told(messages(&lab, "event_cancelled").await), ids);
    Ok(())
}
