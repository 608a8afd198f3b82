//! Places added to and removed from an event that is on sale.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::{EventId, SeatId};
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, assert_invariants, eventually, make_event};

async fn remove(
    admin: &Shopper,
    event: EventId,
    seats: &[SeatId],
) -> Result<(StatusCode, Value), reqwest::Error> {
    admin.post(&format!("/api/admin/events/{event}/seats/remove"), json!({"seatIds": seats})).await
}

/// The payloads of jobs of a queue.
async fn jobs(lab: &Lab, queue: &str) -> Result<Vec<Value>, sqlx::Error> {
    let jobs = sqlx::query_scalar("select payload::jsonb from jobs where queue = $1 order by created_at, id")
        .bind(queue);
    jobs.fetch_all(lab.store().pool()).await
}

#[tokio::test]
async fn added_seats_are_sold_to_whoever_stands_by() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    first.outcome(&first.book(event, json!({"quantity": 1})).await?).await?;
    let waiting = second.book(event, json!({"quantity": 2, "standby": true, "adjacent": true})).await?;
    let path = format!("/api/admin/events/{event}/seats");
    let seat = |section: &str, row: &str, label: &str, tier: &str| json!({"section": section, "row": row, "label": label, "tier": tier});
    for (seats, told) in [
        (json!([seat("Hall", "1", "1", "One")]), "already"),
        (json!([seat("Hall", "1", "2", "Two")]), "no tier"),
        (json!([seat("Hall", "1", "2", "One"), seat("Hall", "1", "2", "One")]), "twice"),
        (json!([]), "seats must be"),
    ] {
        let (status, problem) = admin.post(&path, json!({"seats": seats})).await?;
        assert_eq!(status.as_u16(), 422, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    }
    let seats =
        [seat("Hall", "2", "1", "One"), seat("Hall", "2", "2", "One"), seat("Balcony", "1", "1", "One")];
    let (status, added) = admin.post(&path, json!({"seats": seats})).await?;
    assert_eq!(
        (status, added["seatIds"].as_array().map(Vec::len)),
        (StatusCode::CREATED, Some(3)),
        "{added}"
    );
    second.outcome(&waiting).await?;
    eventually("the new places are called by their names", async || {
        second.status(&waiting).await.is_ok_and(|won| won["result"]["seats"][0]["row"] == "2")
    })
    .await;
    eventually("shoppers see them", async || {
        let shown = first.get(&format!("/api/events/{event}")).await;
        shown.is_ok_and(|(_, shown)| shown["totalSeats"] == 4 && shown["availableSeats"] == 1)
    })
    .await;
    let (_, map) = first.get(&format!("/api/events/{event}/seatmap")).await?;
    let names: Vec<&Value> =
        map["sections"].as_array().into_iter().flatten().map(|section| &section["name"]).collect();
    assert_eq!(names, ["Hall", "Balcony"]);
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_removed_seat_is_nobodys_and_its_holder_is_told() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let [holder, buyer, late]: [_; 3] = lab.shoppers(3).await?.try_into().map_err(|_| "three shoppers")?;
    holder.outcome(&holder.book_seats(event, &seats[..2]).await?).await?;
    // Free: it just goes, and the worker, which has the old seats in memory, does not sell it.
    let (status, removed) = remove(&admin, event, &seats[3..]).await?;
    assert_eq!((status, &removed), (StatusCode::OK, &json!({"held": 0, "sold": 0})));
    let refused = late.book_seats(event, &seats[3..]).await;
    if let Ok(job) = refused {
        let outcome = late.outcome(&job).await?;
        assert_eq!((&outcome["status"], &outcome["code"]), (&json!("failed"), &json!("seat_taken")));
    }
    // Held: the rest of the cart stays.
    let (status, removed) = remove(&admin, event, &seats[..1]).await?;
    assert_eq!((status, &removed), (StatusCode::OK, &json!({"held": 1, "sold": 0})));
    let (_, cart) = holder.get("/api/cart").await?;
    assert_eq!(cart["items"][0]["seats"].as_array().map(Vec::len), Some(1), "{cart}");
    let told = json!({"to": {"type": "user", "id": holder.id},
        "message": {"kind": "place_removed", "event": event, "place": "Hall, row 1, seat 1"}});
    assert!(jobs(&lab, "messages").await?.contains(&told));
    // Sold: the money goes back as well.
    let won = buyer.outcome(&buyer.book_seats(event, &seats[2..3]).await?).await?;
    let item = sold(&lab, event, seats[2], &won["result"]["bookingId"]).await?;
    sqlx::query(
        "insert into tickets (id, order_item_id, number, event_id, user_id)
         values (gen_random_uuid(), $1, 'removed', $2, $3)",
    )
    .bind(item)
    .bind(event.0)
    .bind(buyer.id.0)
    .execute(lab.store().pool())
    .await?;
    let (status, removed) =
        admin.call(Method::DELETE, &format!("/api/admin/events/{event}/seats/{}", seats[2]), None).await?;
    assert_eq!((status, &removed), (StatusCode::OK, &json!({"held": 0, "sold": 1})));
    assert_eq!(jobs(&lab, "refunds").await?, [json!({"reason": "place_removed", "orderItem": item})]);
    let ticket: String = sqlx::query_scalar("select status from tickets where order_item_id = $1")
        .bind(item)
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(ticket, "cancelled", "nobody is let in on it, whenever the money goes back");
    let fact: Value = sqlx::query_scalar(
        "select fact::jsonb from outbox, json_array_elements(facts) as fact where event_id = $1 and topic = 'seat.removed'",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(
        (&fact["seatId"], &fact["orderItemId"], &fact["userId"]),
        (&json!(seats[2]), &json!(item), &json!(buyer.id))
    );
    let (status, _) = remove(&admin, event, &seats[..1]).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "it is gone already");
    let left: (i64, i32) = sqlx::query_as(
        "select (select count(*) from seats where event_id = $1), capacity from events where id = $1",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(left, (1, 1));
    let job = late.book(event, json!({"quantity": 1})).await?;
    assert_eq!(late.outcome(&job).await?["code"], "sold_out", "one seat is left, and somebody has it");
    Ok(())
}

/// Makes a paid order of a reservation, as checkout does; the id of its item.
async fn sold(
    lab: &Lab,
    event: EventId,
    seat: SeatId,
    booking: &Value,
) -> Result<uuid::Uuid, Box<dyn std::error::Error>> {
    let booking: uuid::Uuid = booking.as_str().ok_or("a booking")?.parse()?;
    let (order, item) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let pool = lab.store().pool();
    sqlx::query("update bookings set status = 'paid', closed_at = now() where id = $1")
        .bind(booking)
        .execute(pool)
        .await?;
    sqlx::query("update seat_claims set status = 'sold', expires_at = null where seat_id = $1")
        .bind(seat.0)
        .execute(pool)
        .await?;
    sqlx::query(
        "insert into orders (id, user_id, status, currency, total_minor, pay_until, paid_at)
         select $1, user_id, 'paid', 'EUR', 1000, now(), now() from bookings where id = $2",
    )
    .bind(order)
    .bind(booking)
    .execute(pool)
    .await?;
    sqlx::query(
        "insert into order_items (id, order_id, booking_id, event_id, seat_id, tier_name, place, price_minor, status)
         values ($1, $2, $3, $4, $5, 'One', 'Hall', 1000, 'sold')",
    )
    .bind(item)
    .bind(order)
    .bind(booking)
    .bind(event.0)
    .bind(seat.0)
    .execute(pool)
    .await?;
    Ok(item)
}

#[tokio::test]
async fn seats_removed_in_the_middle_of_a_rush_are_never_sold() -> TestResult {
    let lab = Lab::start().await?;
    let plan = EventPlan { seat_limit: 1, ..EventPlan::hall(20, 10) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let shoppers = lab.shoppers(400).await?;
    let booking = async {
        let jobs = shoppers.iter().map(|shopper| async move {
            shopper.book(event, json!({"quantity": 1})).await.map_err(|error| error.to_string())
        });
        futures_util::future::join_all(jobs).await.into_iter().collect::<Result<Vec<_>, _>>()
    };
    let removing = async {
        for part in seats[100..].chunks(20) {
            let (status, told) = remove(&admin, event, part).await?;
            assert_eq!(status, StatusCode::OK, "{told}");
        }
        Ok::<_, reqwest::Error>(())
    };
    let (booked, removed) = tokio::join!(booking, removing);
    booked?;
    removed?;
    lab.until_decided(event, 400).await?;
    let (claims, stray): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where s.id is null)
         from seat_claims c left join seats s on s.id = c.seat_id where c.event_id = $1",
    )
    .bind(event.0)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!((claims, stray), (100, 0), "everything that is left is reserved, and nothing else");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn an_area_grows_and_shrinks_while_it_is_sold() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, area) = make_event(lab.store(), &EventPlan::club(2)).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let shopper = lab.shopper().await?;
    let resize = async |capacity: u32| {
        admin
            .call(
                Method::PATCH,
                &format!("/api/admin/events/{event}/areas/{area}"),
                Some(json!({"capacity": capacity})),
            )
            .await
    };
    shopper.outcome(&shopper.book(event, json!({"quantity": 2, "areaId": area})).await?).await?;
    assert_eq!(resize(4).await?.0, StatusCode::OK);
    let more = shopper.outcome(&shopper.book(event, json!({"quantity": 2, "areaId": area})).await?).await?;
    assert_eq!(more["status"], "completed", "{more}");
    let (status, removed) = resize(1).await?;
    assert_eq!((status, &removed), (StatusCode::OK, &json!({"held": 3, "sold": 0})));
    let (_, cart) = shopper.get("/api/cart").await?;
    assert_eq!(cart["items"][0]["seats"].as_array().map(Vec::len), Some(1), "{cart}");
    let refused =
        shopper.outcome(&shopper.book(event, json!({"quantity": 1, "areaId": area})).await?).await?;
    assert_eq!(refused["code"], "sold_out");
    assert_eq!(resize(0).await?.0.as_u16(), 422);
    assert_invariants(lab.store(), event).await
}

/// So many sold places of an area, each an order of its own that cost nothing; their slots are the lowest ones.
async fn sell_out(
    lab: &Lab,
    event: EventId,
    area: i64,
    places: i32,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut tx = lab.store().pool().begin().await?;
    sqlx::query("create temporary table sold_out (booking uuid, order_id uuid, slot integer) on commit drop")
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into sold_out select gen_random_uuid(), gen_random_uuid(), slot from generate_series(1, $1) as slot",
    )
    .bind(places)
    .execute(&mut *tx)
    .await?;
    for (sql, bind) in [
        (
            "insert into bookings (id, event_id, user_id, status, closed_at)
             select booking, $1, 1000000 + slot, 'paid', now() from sold_out",
            event.0,
        ),
        (
            "insert into area_claims (area_id, slot, capacity, event_id, booking_id, user_id, status)
             select a.id, s.slot, a.capacity, a.event_id, s.booking, 1000000 + s.slot, 'sold'
             from sold_out s, areas a where a.id = $1",
            area,
        ),
        (
            "insert into orders (id, user_id, status, currency, total_minor, pay_until, paid_at)
             select order_id, 1000000 + slot, 'paid', 'EUR', 0, now(), now() from sold_out where $1 > 0",
            event.0,
        ),
        (
            "insert into order_items
                 (id, order_id, booking_id, event_id, area_id, slot, tier_name, place, price_minor, status)
             select gen_random_uuid(), s.order_id, s.booking, a.event_id, a.id, s.slot, 'One', 'Floor', 0, 'sold'
             from sold_out s, areas a where a.id = $1",
            area,
        ),
    ] {
        sqlx::query(sql).bind(bind).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[tokio::test]
async fn thousands_of_sold_places_are_taken_away_some_at_a_time_and_none_is_sold_meanwhile() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let (event, _, area) = make_event(lab.store(), &EventPlan::club(2_000)).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let [holder, payer, late]: [_; 3] = lab.shoppers(3).await?.try_into().map_err(|_| "three shoppers")?;
    sell_out(&lab, event, area, 1_500).await?;
    for shopper in [&holder, &payer] {
        let job = shopper.book(event, json!({"quantity": 1, "areaId": area})).await?;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
    }
    let path = format!("/api/admin/events/{event}/areas/{area}");
    let (status, cut) = admin.call(Method::PATCH, &path, Some(json!({"capacity": 100}))).await?;
    assert_eq!(
        (status, &cut),
        (StatusCode::OK, &json!({"held": 0, "sold": 1_000, "left": 402})),
        "not all at once"
    );
    // Nobody gets what is going, whether or not it is gone: neither from the line nor from a cart.
    let job = late.book(event, json!({"quantity": 1, "areaId": area})).await?;
    assert_eq!(late.outcome(&job).await?["code"], "sold_out");
    let (status, refused) = holder.post("/api/cart/checkout", json!({})).await?;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::CONFLICT, &json!("reservation_expired")),
        "{refused}"
    );
    let count = async |sql: &'static str| {
        sqlx::query_scalar::<_, i64>(sql).bind(area).fetch_one(lab.store().pool()).await
    };
    let above = "select count(*) from area_claims where area_id = $1 and slot > 100";
    assert_eq!(count(above).await?, 402);
    // Whoever was paying already is waited for.
    let paying = "update bookings set status = $2 where user_id = $1";
    let mark = async |status: &'static str| {
        sqlx::query(paying).bind(payer.id.0).bind(status).execute(lab.store().pool()).await
    };
    mark("pending_payment").await?;
    let sweeper = lab.add(&[Part::Sweeper]).await?;
    eventually("all others are gone", async || count(above).await.is_ok_and(|left| left == 1)).await;
    let capacity = "select capacity::bigint from areas where id = $1";
    assert_eq!(count(capacity).await?, 2_000, "the constraint follows at the end");
    mark("created").await?;
    eventually("the area is as small as was asked", async || {
        count(capacity).await.is_ok_and(|capacity| capacity == 100)
    })
    .await;
    assert_eq!(count("select count(*) from area_claims where area_id = $1").await?, 100);
    let places = "select e.capacity::bigint from events e join areas a on a.event_id = e.id where a.id = $1";
    assert_eq!(count(places).await?, 100);
    let refunds = jobs(&lab, "refunds").await?;
    assert_eq!(refunds.len(), 1_400, "whoever had paid gets it back");
    assert!(refunds.iter().all(|job| job["reason"] == "place_removed"));
    let messages = jobs(&lab, "messages").await?;
    let told = messages.iter().filter(|job| job["message"]["kind"] == "place_removed");
    assert_eq!(told.count(), 1_402, "and everybody is told");
    sweeper.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_area_that_is_being_cut_may_grow_again() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Worker], &[]).await?;
    let (event, _, area) = make_event(lab.store(), &EventPlan::club(1_300)).await?;
    let admin = lab.with_role(Role::Admin).await?;
    let shopper = lab.shopper().await?;
    sell_out(&lab, event, area, 1_300).await?;
    let path = format!("/api/admin/events/{event}/areas/{area}");
    let resize =
        async |capacity: u32| admin.call(Method::PATCH, &path, Some(json!({"capacity": capacity}))).await;
    assert_eq!(resize(100).await?.1, json!({"held": 0, "sold": 1_000, "left": 200}));
    assert_eq!(resize(1_200).await?.1, json!({"held": 0, "sold": 100}), "the others stay");
    let (capacity, claims): (i32, i64) = sqlx::query_as(
        "select capacity, (select count(*) from area_claims where area_id = $1) from areas where id = $1",
    )
    .bind(area)
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!((capacity, claims), (1_200, 200));
    let job = shopper.book(event, json!({"quantity": 1, "areaId": area})).await?;
    assert_eq!(shopper.outcome(&job).await?["status"], "completed", "there is room again");
    Ok(())
}
