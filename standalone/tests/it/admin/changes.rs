//! What admins change, one thing after the other: what shoppers see of it, and what stands in the audit log.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;

use super::catalogue::made;
use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

/// So many days from a time, as it is written.
fn days_from(time: DateTime<Utc>, days: i64) -> Value {
    json!(time + TimeDelta::days(days))
}

/// A time in whole seconds, which a store keeps as it is.
fn this_second() -> Result<DateTime<Utc>, &'static str> {
    DateTime::from_timestamp(Utc::now().timestamp(), 0).ok_or("a time")
}

/// An event as admins see it, without what follows from the rest.
fn stored(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        for name in ["warnings", "layoutVersion", "tiers"] {
            fields.remove(name);
        }
    }
    event
}

/// Waits until shoppers see all of this of an event.
async fn until_shown(shopper: &Shopper, event: &Value, wanted: &[(&str, Value)]) {
    let path = format!("/api/events/{event}");
    eventually(&format!("shoppers see {wanted:?}"), async || {
        let shown = shopper.get(&path).await;
        shown.is_ok_and(|(_, shown)| {
            wanted.iter().all(|(pointer, value)| shown.pointer(pointer) == Some(value))
        })
    })
    .await;
}

#[tokio::test]
async fn whatever_is_changed_of_an_event_is_shown_and_nothing_else_of_it_moves() -> TestResult {
    let lab = Lab::start().await?;
    let (admin, shopper) = (lab.with_role(Role::Admin).await?, lab.shopper().await?);
    let (event, _, artist) = made(&admin).await?;
    let hall = json!({"name": "Club", "city": "Львів", "address": "Rynok 1"});
    let (_, hall) = admin.post("/api/admin/venues", hall).await?;
    let (_, guest) = admin.post("/api/admin/artists", json!({"name": "Marta", "genre": "Folk"})).await?;
    let path = format!("/api/admin/events/{}", event["id"]);
    let now = this_second()?;
    let at = |days| days_from(now, days);
    let mut before = stored(event.clone());
    for change in [
        json!({"name": "Two voices"}),
        json!({"description": "First one,\nthen the other."}),
        json!({"artistIds": [guest["id"], artist["id"]]}),
        json!({"venueId": hall["id"]}),
        json!({"startsAt": at(100)}),
        json!({"endsAt": at(101)}),
        json!({"salesCloseAt": at(90)}),
        json!({"salesOpenAt": at(-2)}),
        json!({"seatLimit": 3}),
        json!({"holdSeconds": 240}),
        json!({"oneBookingEach": true}),
        json!({"refundUntilHours": 48}),
        json!({"tiers": [{"name": "Front", "price": {"amount": 9000, "currency": "UAH"}},
            {"name": "Standing", "price": {"amount": 1500, "currency": "UAH"}}]}),
    ] {
        let (status, changed) = admin.call(Method::PATCH, &path, Some(change.clone())).await?;
        assert_eq!(status, StatusCode::OK, "{change}: {changed}");
        for (name, value) in change.as_object().into_iter().flatten() {
            if name == "tiers" {
                let prices = json!([changed["tiers"][0]["price"], changed["tiers"][1]["price"]]);
                assert_eq!(prices, json!([value[0]["price"], value[1]["price"]]), "{changed}");
            } else {
                assert_ne!(&before[name.as_str()], value, "{change} changes something");
                before[name.as_str()] = value.clone();
            }
        }
        assert_eq!(stored(changed.clone()), before, "{change}");
        assert_eq!(admin.get(&path).await?.1, changed, "{change}");
    }
    until_shown(
        &shopper,
        &event["id"],
        &[
            ("/name", json!("Two voices")),
            ("/description", json!("First one,\nthen the other.")),
            ("/artists/0/name", json!("Marta")),
            ("/artists/1/name", json!("Aurora")),
            ("/venue", json!({"name": "Club", "city": "Львів", "address": "Rynok 1"})),
            ("/startsAt", at(100)),
            ("/endsAt", at(101)),
            ("/salesOpenAt", at(-2)),
            ("/salesCloseAt", at(90)),
            ("/status", json!("on_sale")),
            ("/seatLimit", json!(3)),
            ("/holdSeconds", json!(240)),
            ("/tiers/0/name", json!("Front")),
            ("/tiers/0/price", json!({"amount": 9000, "currency": "UAH"})),
            ("/tiers/1/price", json!({"amount": 1500, "currency": "UAH"})),
            ("/priceFrom", json!({"amount": 1500, "currency": "UAH"})),
        ],
    )
    .await;
    // It is on sale for 60 days at least, or that is told.
    let warned = json!(["sale_opens_late"]);
    for (shift, wanted) in [
        (TimeDelta::days(59), &warned),
        (TimeDelta::days(60) - TimeDelta::seconds(1), &warned),
        (TimeDelta::days(60), &json!([])),
        (TimeDelta::days(61), &json!([])),
    ] {
        let change = json!({"salesOpenAt": now + TimeDelta::days(100) - shift});
        let (status, changed) = admin.call(Method::PATCH, &path, Some(change)).await?;
        assert_eq!(status, StatusCode::OK, "{changed}");
        let warnings = changed["warnings"].as_array().into_iter().flatten();
        let codes: Value = warnings.map(|warning| warning["code"].clone()).collect();
        assert_eq!(&codes, wanted, "on sale for {shift}");
    }
    until_shown(&shopper, &event["id"], &[("/status", json!("upcoming"))]).await;
    let (status, refused) =
        shopper.post(&format!("/api/bookings/{}/book", event["id"]), json!({"quantity": 1})).await?;
    assert_eq!((status.as_u16(), &refused["code"]), (422, &json!("sale_closed")));
    let window = json!({"salesOpenAt": at(-3), "salesCloseAt": at(-1)});
    assert_eq!(admin.call(Method::PATCH, &path, Some(window)).await?.0, StatusCode::OK);
    until_shown(&shopper, &event["id"], &[("/status", json!("closed")), ("/salesCloseAt", at(-1))]).await;
    Ok(())
}

/// What an admin does, with its body, and its line in the audit log: action and object.
type Step = (Method, String, Option<Value>, &'static str, String);

/// Everything there is to do, in an order in which it can be done; `other` is an event that is cancelled.
async fn steps(
    admin: &Shopper,
    [event, venue, artist, hall]: [&Value; 4],
    other: shared::domain::EventId,
) -> Result<Vec<Step>, Box<dyn std::error::Error>> {
    let (_, layouts) = admin.get(&format!("/api/admin/layouts?venueId={venue}")).await?;
    let (_, shown) = admin.get(&format!("/api/events/{event}")).await?;
    let (_, seats) = admin.get(&format!("/api/seats?event_id={event}")).await?;
    let (layout, area) = (&layouts["items"][0]["id"], &shown["areas"][0]["id"]);
    let [front, back] = [0, 1].map(|nth: usize| seats["items"][nth]["id"].clone());
    let (event_path, layout_path) =
        (format!("/api/admin/events/{event}"), format!("/api/admin/layouts/{layout}"));
    let hall_path = format!("/api/admin/venues/{hall}");
    let places = json!({"areas": [{"name": "Floor", "capacity": 20, "tier": "Standing"}]});
    let added = json!({"seats": [{"section": "Stalls", "row": "B", "label": "1", "tier": "Front"}]});
    let of_event = |seats: usize| format!("{seats} seats of event {event}");
    let moved = json!({"venueId": hall});
    let (arena, band) = (json!({"name": "Arena", "city": "Одеса"}), json!({"name": "Borealis"}));
    let patch = |path: &str, body: Value, action, object: String| {
        (Method::PATCH, path.to_owned(), Some(body), action, object)
    };
    let delete = |path: &str, action, object: String| (Method::DELETE, path.to_owned(), None, action, object);
    let artist_path = format!("/api/admin/artists/{artist}");
    Ok(vec![
        patch(&event_path, moved, "event.change", format!("event {event}")),
        patch(&hall_path, arena, "venue.change", format!("venue {hall}")),
        patch(&artist_path, band, "artist.change", format!("artist {artist}")),
        patch(&layout_path, json!({"name": "Standing"}), "layout.change", format!("layout {layout}")),
        (
            Method::PUT,
            format!("{layout_path}/places"),
            Some(places),
            "layout.change",
            format!("layout {layout}"),
        ),
        patch(
            &format!("{event_path}/areas/{area}"),
            json!({"capacity": 20}),
            "event.resize_area",
            format!("area {area} of event {event} to 20"),
        ),
        (Method::POST, format!("{event_path}/seats"), Some(added), "event.add_seats", of_event(1)),
        (
            Method::POST,
            format!("{event_path}/seats/remove"),
            Some(json!({"seatIds": [front]})),
            "event.remove_seats",
            of_event(1),
        ),
        delete(&format!("{event_path}/seats/{back}"), "event.remove_seats", of_event(1)),
        (
            Method::POST,
            format!("/api/admin/events/{other}/cancel"),
            None,
            "event.cancel",
            format!("event {other}"),
        ),
        delete(&layout_path, "layout.delete", format!("layout {layout}")),
        delete(&format!("/api/admin/venues/{venue}"), "venue.delete", format!("venue {venue}")),
        delete(&event_path, "event.delete", format!("event {event}")),
        delete(&hall_path, "venue.delete", format!("venue {hall}")),
        delete(&artist_path, "artist.delete", format!("artist {artist}")),
    ])
}

#[tokio::test]
async fn whatever_is_made_changed_and_deleted_has_its_line_in_the_audit_log() -> TestResult {
    let lab = Lab::start().await?;
    let (admin, shopper) = (lab.with_role(Role::Admin).await?, lab.shopper().await?);
    let (other, ..) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let began = Utc::now();
    let (event, venue, artist) = made(&admin).await?;
    let hall = json!({"name": "Club", "city": "Львів", "address": "Rynok 1"});
    let (_, hall) = admin.post("/api/admin/venues", hall).await?;
    let (_, layouts) = admin.get("/api/admin/layouts").await?;
    let of = |kind: &str, thing: &Value| format!("{kind} {}", thing["id"]);
    let mut wanted = vec![
        ("artist.create", of("artist", &artist)),
        ("venue.create", of("venue", &venue)),
        ("layout.create", of("layout", &layouts["items"][0])),
        ("event.create", of("event", &event)),
        ("venue.create", of("venue", &hall)),
    ];
    let things = [&event["id"], &venue["id"], &artist["id"], &hall["id"]];
    for (method, path, body, action, object) in steps(&admin, things, other).await? {
        let is_gone = method == Method::DELETE && !path.contains("/seats/");
        if action == "event.delete" {
            until_shown(
                &shopper,
                &event["id"],
                &[
                    ("/venue", json!({"name": "Arena", "city": "Одеса", "address": "Rynok 1"})),
                    ("/artists/0/name", json!("Borealis")),
                    ("/areas/0/capacity", json!(20)),
                    ("/sections/0/seats", json!(1)),
                    ("/totalSeats", json!(21)),
                ],
            )
            .await;
        }
        let (status, answer) = admin.call(method, &path, body).await?;
        assert!(status.is_success(), "{action} of {object}: {status} {answer}");
        if is_gone {
            assert_eq!(admin.get(&path).await?.0, StatusCode::NOT_FOUND, "{object}");
        }
        wanted.push((action, object));
    }
    eventually("shoppers see that the event is gone", async || {
        let shown = shopper.get(&format!("/api/events/{}", event["id"])).await;
        shown.is_ok_and(|(status, _)| status == StatusCode::NOT_FOUND)
    })
    .await;
    let (_, log) = admin.get(&format!("/api/admin/audit?userId={}&limit=100", admin.id)).await?;
    let lines = log["items"].as_array().ok_or("lines")?;
    let written: Vec<(&str, String)> = lines
        .iter()
        .rev()
        .map(|line| {
            let (action, object) = (line["action"].as_str(), line["object"].as_str());
            (action.unwrap_or_default(), object.unwrap_or_default().to_owned())
        })
        .collect();
    assert_eq!(written, wanted, "each once, in the order in which it was done");
    for line in lines {
        assert_eq!(
            (&line["result"], &line["userId"], &line["ip"]),
            (&json!("done"), &json!(admin.id), &json!("127.0.0.1")),
            "{line}"
        );
        let at: DateTime<Utc> = line["at"].as_str().ok_or("a time")?.parse()?;
        assert!((began..=Utc::now()).contains(&at), "{line}");
    }
    Ok(())
}
