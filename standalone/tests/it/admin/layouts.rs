//! Layouts: imported as a whole or not at all, and events made from them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;

use crate::lab::{Lab, Shopper, TestResult};

async fn import(
    admin: &Shopper,
    venue: &Value,
    name: &str,
    csv: String,
) -> Result<(StatusCode, Value), reqwest::Error> {
    let url = format!("{}/api/admin/layouts?venueId={venue}&name={name}", admin.url);
    let request = admin.http.post(url).bearer_auth(&admin.token).header("content-type", "text/csv");
    let answer = request.body(csv).send().await?;
    Ok((answer.status(), answer.json().await?))
}

async fn venue(admin: &Shopper) -> Result<Value, reqwest::Error> {
    let (_, venue) = admin.post("/api/admin/venues", json!({"name": "Arena", "city": "Lviv"})).await?;
    Ok(venue["id"].clone())
}

/// A hundred thousand seats and an area, as lines and as a document.
fn stadium() -> (String, Value) {
    let (mut csv, mut sections) = (String::from("section,row,seat,tier,x,y\n"), Vec::new());
    for section in 1..=40_i32 {
        let mut rows = Vec::new();
        for row in 1..=50_i32 {
            let (tier, y) = (if row <= 10 { "Front" } else { "Upper" }, section * 1_000 + row * 24);
            let mut seats = Vec::new();
            for seat in 1..=50_i32 {
                let x = format!("{}.5", seat * 20);
                let _ = writeln!(csv, "Block {section},{row},{seat},{tier},{x},{y}");
                let (x, y) = (f64::from(seat * 20) + 0.5, f64::from(y));
                seats.push(json!({"label": seat.to_string(), "tier": tier, "x": x, "y": y}));
            }
            rows.push(json!({"label": row.to_string(), "seats": seats}));
        }
        sections.push(json!({"name": format!("Block {section}"), "rows": rows}));
    }
    csv.push_str("area,capacity,tier\nPitch,5000,Front\n");
    let areas = json!([{"name": "Pitch", "capacity": 5_000, "tier": "Front"}]);
    (csv, json!({"sections": sections, "areas": areas}))
}

/// How many seats a document has.
fn seats_in(places: &Value) -> usize {
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rows = all(&places["sections"]).into_iter().flat_map(|section| all(&section["rows"]));
    rows.map(|row| row["seats"].as_array().map_or(0, Vec::len)).sum()
}

#[tokio::test]
async fn a_stadium_is_imported_and_made_an_event_of_in_less_than_ten_seconds() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let venue = venue(&admin).await?;
    let (csv, document) = stadium();
    let started = Instant::now();
    let (status, layout) = import(&admin, &venue, "Stadium", csv).await?;
    let imported = started.elapsed();
    assert_eq!(
        (status, &layout["seats"], &layout["places"]),
        (StatusCode::CREATED, &json!(100_000), &json!(105_000))
    );
    assert_eq!(layout["tiers"], json!(["Front", "Upper"]));
    let path = format!("/api/admin/layouts?venueId={venue}&name=Document");
    let started = Instant::now();
    let (status, same) = admin.post(&path, document.clone()).await?;
    let told = started.elapsed();
    assert_eq!(status, StatusCode::CREATED, "{same}");
    for field in ["seats", "places", "tiers"] {
        assert_eq!(same[field], layout[field], "{field}, in JSON as in CSV");
    }
    for layout in [&layout, &same] {
        let (_, kept) = admin.get(&format!("/api/admin/layouts/{}/places", layout["id"])).await?;
        assert_eq!(seats_in(&kept), 100_000);
        assert!(kept == document, "{}: seat by seat what came in", layout["name"]);
    }
    let now = chrono::Utc::now();
    let day = chrono::TimeDelta::days(1);
    let price = json!({"amount": 5000, "currency": "UAH"});
    let body = json!({"venueId": venue, "name": "Everybody", "startsAt": now + day * 90,
        "salesOpenAt": now - day, "salesCloseAt": now + day * 89, "layoutId": layout["id"],
        "tiers": [{"name": "Front", "price": price}, {"name": "Upper", "price": price}]});
    let started = Instant::now();
    let (status, event) = admin.post("/api/admin/events", body).await?;
    let made = started.elapsed();
    assert_eq!((status, &event["totalSeats"]), (StatusCode::CREATED, &json!(105_000)), "{event}");
    assert_eq!(event["warnings"], json!([]), "on sale for 91 days");
    eprintln!("imported in {imported:?} and, as JSON, {told:?}; made an event of in {made:?}");
    let longest = imported.max(told).max(made);
    assert!(longest < Duration::from_secs(10), "{imported:?}, {told:?}, {made:?}");
    let (_, map) = admin.get(&format!("/api/events/{}/seatmap", event["id"])).await?;
    let row = &map["sections"][39]["rows"][49];
    assert_eq!((&map["sections"][39]["name"], &row["label"]), (&json!("Block 40"), &json!("50")));
    assert_eq!(&row["seats"][1].as_array().ok_or("a seat")?[1..], [json!("2"), json!(40.5), json!(41_200.0)]);
    Ok(())
}

#[tokio::test]
async fn mistakes_in_a_layout_are_told_with_their_lines_and_nothing_is_imported() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let venue = venue(&admin).await?;
    let csv = "section,row,seat,tier,x,y\nA,1,1,Front,0,0\nA,1,1,Front,0,0\nA,1,two,Front,left,0\n";
    let (status, problem) = import(&admin, &venue, "Bad", csv.to_owned()).await?;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("validation")));
    let told = problem["detail"].as_str().unwrap_or_default();
    assert!(told.contains("line 3: ") && told.contains("line 4: "), "{told}");
    let bad = json!({"sections": [{"name": "A", "rows": [{"label": "1", "seats": [{"label": "1"}]}]}]});
    let (status, problem) = admin.post(&format!("/api/admin/layouts?venueId={venue}&name=Bad"), bad).await?;
    assert_eq!(status.as_u16(), 422);
    assert!(
        problem["detail"].as_str().is_some_and(|told| told.contains("tier") && told.contains("line 1")),
        "{problem}"
    );
    let good = "area,capacity,tier\nFloor,10,Standing\n";
    let (status, _) = import(&admin, &json!(999_999), "Good", good.to_owned()).await?;
    assert_eq!(status.as_u16(), 422, "there is no such venue");
    assert_eq!(admin.get("/api/admin/layouts").await?.1["items"], json!([]));
    let (status, layout) = import(&admin, &venue, "Good", good.to_owned()).await?;
    assert_eq!(status, StatusCode::CREATED);
    let (status, problem) = import(&admin, &venue, "Good", good.to_owned()).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_exists")));
    let path = format!("/api/admin/layouts/{}", layout["id"]);
    let places = json!({"areas": [{"name": "Floor", "capacity": 20, "tier": "Standing"}]});
    let (status, _) = admin.call(reqwest::Method::PUT, &format!("{path}/places"), Some(places)).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(admin.get(&format!("{path}/places")).await?.1["areas"][0]["capacity"], 20);
    let (_, renamed) = admin.call(reqwest::Method::PATCH, &path, Some(json!({"name": "Better"}))).await?;
    assert_eq!((&renamed["name"], &renamed["places"]), (&json!("Better"), &json!(20)));
    let text = lab.http.post(format!("{}/api/admin/layouts?venueId={venue}&name=Text", admin.url));
    let answer = text.bearer_auth(&admin.token).header("content-type", "text/plain").body("x").send().await?;
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    Ok(())
}
