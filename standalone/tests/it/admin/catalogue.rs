//! Artists, venues and events: made, changed, cancelled, deleted; who may do it, and what is written down.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use sqlx::PgPool;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

/// The facts of an event on a topic.
async fn facts(pool: &PgPool, event: &Value, topic: &str) -> Result<Vec<Value>, sqlx::Error> {
    sqlx::query_scalar(
        "select fact::jsonb from outbox, json_array_elements(facts) as fact where event_id = $1 and topic = $2",
    )
    .bind(event.as_i64())
    .bind(topic)
    .fetch_all(pool)
    .await
}

async fn patch(admin: &Shopper, path: &str, body: Value) -> Result<(StatusCode, Value), reqwest::Error> {
    admin.call(Method::PATCH, path, Some(body)).await
}

async fn delete(admin: &Shopper, path: &str) -> Result<(StatusCode, Value), reqwest::Error> {
    admin.call(Method::DELETE, path, None).await
}

#[tokio::test]
async fn artists_are_told_of_and_what_is_optional_can_be_taken_back() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let told = json!({"name": "Океан Ельзи", "genre": "rock", "occupation": "band",
        "biography": "Із Львова.\nGegründet 1994.", "works": ["Там, де нас нема", "Модель"]});
    let mut body = told.clone();
    body["name"] = json!(" Океан Ельзи ");
    let (status, artist) = admin.post("/api/admin/artists", body).await?;
    let of = |told: &Value| {
        let mut told = told.clone();
        told["id"] = artist["id"].clone();
        told
    };
    assert_eq!((status, &artist), (StatusCode::CREATED, &of(&told)));
    let path = format!("/api/admin/artists/{}", artist["id"]);
    assert_eq!(admin.get(&path).await?.1, artist);
    let told = json!({"name": "Океан Ельзи", "genre": "Indie", "occupation": "quintet",
        "biography": "From Lviv.", "works": ["Модель", "Модель 2"]});
    let (status, changed) = patch(&admin, &path, told.clone()).await?;
    assert_eq!((status, &changed), (StatusCode::OK, &of(&told)));
    assert_eq!(admin.get(&path).await?.1, changed);
    let (event, _) = event_of(&admin, &artist["id"]).await?;
    let public = format!("/api/events/{}", event["id"]);
    assert_eq!(admin.get(&public).await?.1["artists"], json!([of(&told)]), "shoppers see all of it");
    let brief = json!([{"id": artist["id"], "name": "Океан Ельзи", "genre": "Indie"}]);
    eventually("the event is found by the artist's genre", async || {
        let found = admin.get("/api/events?genre=indie").await;
        found.is_ok_and(|(_, list)| list["items"][0]["artists"] == brief)
    })
    .await;
    assert_eq!(admin.get("/api/events?genre=rock").await?.1["items"], json!([]), "and not by that of before");
    let taken_back = json!({"genre": null, "biography": null, "works": null});
    let (status, changed) = patch(&admin, &path, taken_back).await?;
    let left = json!({"name": "Океан Ельзи", "genre": null, "occupation": "quintet", "biography": null, "works": []});
    assert_eq!((status, &changed), (StatusCode::OK, &of(&left)), "what was not named stays");
    assert_eq!(admin.get(&path).await?.1, changed);
    let shown = of(&json!({"name": "Океан Ельзи", "genre": "", "occupation": "quintet"}));
    eventually("shoppers are told nothing more of what was taken back", async || {
        admin.get(&public).await.is_ok_and(|(_, event)| event["artists"][0] == shown)
    })
    .await;
    eventually("nor found by it", async || {
        let found = admin.get("/api/events?genre=indie").await;
        found.is_ok_and(|(_, list)| list["items"] == json!([]))
    })
    .await;
    let (status, changed) = patch(&admin, &path, json!({"name": "ОЕ", "occupation": null})).await?;
    assert_eq!(
        (status, &changed["name"], &changed["occupation"]),
        (StatusCode::OK, &json!("ОЕ"), &Value::Null)
    );
    patch(&admin, &path, json!({"name": "Океан Ельзи"})).await?;
    let (_, list) = admin.get("/api/admin/artists?name=%D0%BE%D0%BA%D0%B5").await?;
    assert_eq!(list["items"][0]["id"], artist["id"], "found by the beginning of the name, in any case");
    let (status, problem) = admin.post("/api/admin/artists", json!({"name": "Океан Ельзи"})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_exists")));
    for bad in
        [json!({}), json!({"name": "  "}), json!({"name": "a\u{0}b"}), json!({"name": "x", "works": [""]})]
    {
        let (status, problem) = admin.post("/api/admin/artists", bad.clone()).await?;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("validation")), "{bad}: {problem}");
    }
    let event = format!("/api/admin/events/{}", event["id"]);
    assert_eq!(delete(&admin, &event).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(delete(&admin, &path).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(delete(&admin, &path).await?.0, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn only_admins_change_the_catalogue() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let event_path = format!("/api/admin/events/{event}");
    let seat_path = format!("{event_path}/seats/{}", seats[0]);
    for (method, path) in [
        (Method::POST, "/api/admin/artists"),
        (Method::GET, "/api/admin/venues"),
        (Method::POST, "/api/admin/layouts?venueId=1&name=x"),
        (Method::GET, event_path.as_str()),
        (Method::DELETE, event_path.as_str()),
        (Method::DELETE, seat_path.as_str()),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        let (status, problem) = operator.call(method, path, body).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{path}");
        let nobody = lab.http.get(format!("{}{path}", lab.system.url)).send().await?.status();
        assert!(
            nobody == StatusCode::UNAUTHORIZED || nobody == StatusCode::METHOD_NOT_ALLOWED,
            "{path}: {nobody}"
        );
    }
    Ok(())
}

/// An event of an artist, who is made too, at a venue, from a layout of a few places.
pub(super) async fn made(admin: &Shopper) -> Result<(Value, Value, Value), Box<dyn std::error::Error>> {
    let (_, artist) = admin.post("/api/admin/artists", json!({"name": "Aurora", "genre": "Pop"})).await?;
    let (event, venue) = event_of(admin, &artist["id"]).await?;
    Ok((event, venue, artist))
}

/// An event of this artist at a venue, which is made too, from a layout of a few places.
async fn event_of(admin: &Shopper, artist: &Value) -> Result<(Value, Value), Box<dyn std::error::Error>> {
    let venue = json!({"name": "Opera", "city": "Київ", "address": "Volodymyrska 50"});
    let (_, venue) = admin.post("/api/admin/venues", venue).await?;
    let layout = json!({
        "sections": [{"name": "Stalls", "rows": [{"label": "A", "seats": [
            {"label": "1", "tier": "Front"}, {"label": "2", "tier": "Front"}]}]}],
        "areas": [{"name": "Floor", "capacity": 10, "tier": "Standing"}]
    });
    let path = format!("/api/admin/layouts?venueId={}&name=Usual", venue["id"]);
    let (status, layout) = admin.post(&path, layout).await?;
    assert_eq!(status, StatusCode::CREATED, "{layout}");
    let now = chrono::Utc::now();
    let day = chrono::TimeDelta::days(1);
    let body = json!({"venueId": venue["id"], "name": "Aurora at the Opera", "artistIds": [artist],
        "startsAt": now + day * 30, "salesOpenAt": now - day, "salesCloseAt": now + day * 29,
        "layoutId": layout["id"], "tiers": [
            {"name": "Front", "price": {"amount": 5000, "currency": "EUR"}},
            {"name": "Standing", "price": {"amount": 2000, "currency": "EUR"}}]});
    let (status, event) = admin.post("/api/admin/events", body).await?;
    assert_eq!(status, StatusCode::CREATED, "{event}");
    Ok((event, venue))
}

#[tokio::test]
async fn an_event_from_a_layout_is_sold_and_told_of_when_it_moves_and_is_cancelled() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let (event, venue, artist) = made(&admin).await?;
    assert_eq!(
        (&event["totalSeats"], &event["warnings"][0]["code"]),
        (&json!(12), &json!("sale_opens_late"))
    );
    assert_eq!(event["holdSeconds"], 900, "a quarter of an hour where nothing else is said");
    let id = &event["id"];
    let (_, shown) = admin.get(&format!("/api/events/{id}")).await?;
    assert_eq!(
        (&shown["venue"]["address"], &shown["priceFrom"]["amount"]),
        (&json!("Volodymyrska 50"), &json!(2000))
    );
    let shopper = lab.shopper().await?;
    let event_id = shared::domain::EventId(id.as_i64().ok_or("id")?);
    let won = shopper.outcome(&shopper.book(event_id, json!({"quantity": 2})).await?).await?;
    assert_eq!(won["status"], "completed", "{won}");
    let path = format!("/api/admin/events/{id}");
    for (in_use, told) in [
        (path.clone(), "cancel it"),
        (format!("/api/admin/venues/{}", venue["id"]), "events or layouts"),
        (format!("/api/admin/artists/{}", artist["id"]), "plays at an event"),
    ] {
        let (status, problem) = delete(&admin, &in_use).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("in_use")), "{in_use}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{problem}");
    }
    let (status, renamed) =
        patch(&admin, &path, json!({"name": "Aurora, unplugged", "description": "Quiet."})).await?;
    assert_eq!((status, &renamed["name"]), (StatusCode::OK, &json!("Aurora, unplugged")));
    assert_eq!(facts(lab.store().pool(), id, "event.changed").await?.len(), 0, "nobody need know of that");
    let later = chrono::Utc::now() + chrono::TimeDelta::days(40);
    let (status, _) = patch(&admin, &path, json!({"startsAt": later, "endsAt": null})).await?;
    assert_eq!(status, StatusCode::OK);
    let told = facts(lab.store().pool(), id, "event.changed").await?;
    assert_eq!(told, [json!({"eventId": id, "changed": ["startsAt"]})]);
    for _ in 0..2 {
        let (status, cancelled) = admin.post(&format!("{path}/cancel"), Value::Null).await?;
        assert_eq!((status, &cancelled["status"]), (StatusCode::OK, &json!("cancelled")));
    }
    assert_eq!(facts(lab.store().pool(), id, "event.cancelled").await?.len(), 1, "told once");
    eventually("what was in the cart is gone", async || {
        shopper.get("/api/cart").await.is_ok_and(|(_, cart)| cart["items"] == json!([]))
    })
    .await;
    eventually("shoppers see it", async || {
        let shown = shopper.get(&format!("/api/events/{id}")).await;
        shown.is_ok_and(|(_, shown)| shown["status"] == "cancelled")
    })
    .await;
    let (status, refused) = shopper.post(&format!("/api/bookings/{id}/book"), json!({"quantity": 1})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("sale_closed")));
    Ok(())
}

#[tokio::test]
async fn an_event_that_nobody_has_booked_is_deleted_with_its_places() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let (event, ..) = made(&admin).await?;
    let shopper = lab.shopper().await?;
    let (status, _) = shopper.post("/api/bookings", json!({"eventId": event["id"]})).await?;
    assert_eq!(status, StatusCode::CREATED, "an empty cart is in nobody's way");
    assert_eq!(
        delete(&admin, &format!("/api/admin/events/{}", event["id"])).await?.0,
        StatusCode::NO_CONTENT
    );
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from seats) + (select count(*) from areas) + (select count(*) from listed_events)
             + (select count(*) from bookings where status = 'created')",
    )
    .fetch_one(lab.store().pool())
    .await?;
    assert_eq!(left, 0);
    assert_eq!(delete(&admin, "/api/admin/events/999999").await?.0, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn an_event_that_makes_no_sense_is_refused_and_nothing_of_it_is_left() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let (event, venue, _) = made(&admin).await?;
    let layouts = admin.get(&format!("/api/admin/layouts?venueId={}", venue["id"])).await?.1;
    let good = json!({"venueId": venue["id"], "name": "Another", "startsAt": event["startsAt"],
        "salesOpenAt": event["salesOpenAt"], "salesCloseAt": event["salesCloseAt"]});
    let with = |changes: Value| {
        let mut body = good.clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    };
    let tier = |name: &str, amount: i64, currency: &str| json!({"name": name, "price": {"amount": amount, "currency": currency}});
    for (changes, told) in [
        (json!({"venueId": 999_999}), "venue"),
        (json!({"artistIds": [999_999]}), "artist"),
        (json!({"artistIds": [1, 1]}), "artistIds"),
        (json!({"salesCloseAt": event["salesOpenAt"]}), "salesCloseAt"),
        (json!({"endsAt": event["salesOpenAt"]}), "endsAt"),
        (json!({"seatLimit": 0}), "seatLimit"),
        (json!({"startsAt": "9999-12-31T00:00:00Z"}), "far away"),
        (json!({"tiers": [tier("A", -1, "EUR")]}), "minor units"),
        (json!({"tiers": [tier("A", 1, "euro")]}), "minor units"),
        (json!({"tiers": [tier("A", 1, "EUR"), tier("A", 2, "EUR")]}), "twice"),
        (json!({"layoutId": 999_999}), "layout"),
        (
            json!({"layoutId": layouts["items"][0]["id"], "tiers": [tier("Front", 1, "EUR")]}),
            "price for Standing",
        ),
    ] {
        let (status, problem) = admin.post("/api/admin/events", with(changes.clone())).await?;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("validation")), "{changes}: {problem}");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains(told)),
            "{changes}: {problem}"
        );
    }
    let events: i64 = sqlx::query_scalar("select count(*) from events").fetch_one(lab.store().pool()).await?;
    assert_eq!(events, 1);
    Ok(())
}
