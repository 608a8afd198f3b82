//! Every route for everybody: the table stands in `access_table.rs`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;
use shared::auth::Role;
use shared::domain::{EventId, SeatId, UserId};

use super::access_table::{ACTIONS, LINES, Line};
use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event, make_order};

const GATEWAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../gateway/src");
const WHO: [&str; 5] = ["nobody", "another shopper", "the owner", "an operator", "an admin"];

fn letter_fits(letter: char, status: u16) -> bool {
    match letter {
        '+' => (200..300).contains(&status),
        '-' => status == 401,
        'x' => status == 403,
        '0' => status == 404,
        '?' => [400, 404, 409, 410, 415, 422, 429].contains(&status),
        _ => false,
    }
}

/// What belongs to an event or to somebody.
const OWNED: [&str; 9] =
    ["{event}", "{seat}", "{free}", "{area}", "{booking}", "{job}", "{order}", "{ticket}", "{user}"];

/// What the line names, made for its owner.
async fn fill(lab: &Lab, owner: &Shopper, line: &Line) -> Result<[String; 2], Box<dyn std::error::Error>> {
    let (_, documented, called, body, _) = line;
    let path = if called.is_empty() { documented } else { called };
    let [artist, venue, layout] = catalogue(lab, owner).await?.map(|id| id.to_string());
    let [path, body] = [path, body].map(|text| {
        text.replace("{artist}", &artist).replace("{venue}", &venue).replace("{layout}", &layout)
    });
    let is_named = |text: &str| OWNED.iter().any(|name| text.contains(name));
    if !is_named(&path) && !is_named(&body) && *documented != "/api/cart/checkout" {
        return Ok([path, body]);
    }
    let standing = if path.contains("{area}") { 10 } else { 0 };
    let plan = EventPlan { standing, ..EventPlan::hall(2, 10) };
    let (event, seats, area) = make_event(lab.store(), &plan).await?;
    let job = owner.book_seats(event, &seats[..1]).await?;
    let outcome = owner.outcome(&job).await?;
    let booking = outcome["result"]["bookingId"].as_str().ok_or("a booking")?;
    let [order, ticket] = bought(lab, owner, event, &seats[5..6]).await?;
    Ok([path, body].map(|text| {
        text.replace("{order}", &order)
            .replace("{ticket}", &ticket)
            .replace("{user}", &owner.id.to_string())
            .replace("{event}", &event.to_string())
            .replace("{area}", &area.to_string())
            .replace("{seat}", &seats[0].to_string())
            .replace("{free}", &seats[9].to_string())
            .replace("{booking}", booking)
            .replace("{job}", &job)
    }))
}

/// An artist, a venue, and a layout of another venue.
async fn catalogue(lab: &Lab, owner: &Shopper) -> Result<[i64; 3], sqlx::Error> {
    let (artist, venue, layout): (i64, i64, i64) = sqlx::query_as(
        r#"with artist as (
               insert into artists (name, genre) values ('Artist ' || $1, 'Pop') returning id
           ), venue as (
               insert into venues (name, city) values ('Place ' || $1, 'Kyiv') returning id
           ), other as (
               insert into venues (name, city) values ('Club ' || $1, 'Kyiv') returning id
           ), layout as (
               insert into venue_layouts (venue_id, name, document, seats, places, tiers)
               select id, 'Usual', '{"sections": [], "areas": [{"name": "Floor", "capacity": 10, "tier": "One"}]}',
                   0, 10, '{One}' from other returning id
           )
           select artist.id, venue.id, layout.id from artist, venue, layout"#,
    )
    .bind(owner.id.to_string())
    .fetch_one(lab.store().pool())
    .await?;
    Ok([artist, venue, layout])
}

/// An order that is paid, and the ticket of its one seat.
async fn bought(
    lab: &Lab,
    owner: &Shopper,
    event: EventId,
    seats: &[SeatId],
) -> Result<[String; 2], Box<dyn std::error::Error>> {
    let (order, _) = make_order(lab.store(), owner.id, (event, seats), "fulfilled").await?;
    let ticket: uuid::Uuid = sqlx::query_scalar(
        "insert into tickets (id, order_item_id, number, event_id, user_id)
         select gen_random_uuid(), id, left(id::text, 12), event_id, $2 from order_items where order_id = $1
         returning id",
    )
    .bind(order.0)
    .bind(owner.id.0)
    .fetch_one(lab.store().pool())
    .await?;
    Ok([order.to_string(), ticket.to_string()])
}

async fn ask(
    lab: &Lab,
    method: &str,
    path: &str,
    body: &str,
    who: Option<&Shopper>,
) -> Result<(u16, String), Box<dyn std::error::Error>> {
    let mut request =
        lab.http.request(Method::from_bytes(method.as_bytes())?, format!("{}{path}", lab.system.url));
    if let Some(who) = who {
        request = request.bearer_auth(&who.token);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await.unwrap_or_default()))
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_nothing_else() -> TestResult {
    let lab = Lab::start().await?;
    let scanner = lab.with_role(Role::Scanner).await?;
    let (service, _) = lab.service(&lab.with_role(Role::Admin).await?, &["read", "book", "users"]).await?;
    let mut wrong = Vec::new();
    for line in LINES {
        let (method, documented, _, _, letters) = line;
        let owner = lab.shopper().await?;
        let people = [
            None,
            Some(lab.shopper().await?),
            Some(owner.clone()),
            Some(lab.with_role(Role::Operator).await?),
            Some(lab.with_role(Role::Admin).await?),
        ];
        let [path, body] = fill(&lab, &owner, line).await?;
        assert_eq!(letters.len(), WHO.len(), "{method} {documented}");
        let mut cases: Vec<_> = people.iter().map(Option::as_ref).zip(WHO).zip(letters.chars()).collect();
        if letters.chars().nth(1) == Some('x') {
            let is_at_the_door = documented.starts_with("/api/checkin");
            let letter = letters.chars().next_back().filter(|_| is_at_the_door).unwrap_or('x');
            cases.push(((Some(&scanner), "a scanner"), letter));
            cases.push(((Some(&service), "a service"), 'x'));
        }
        for ((who, name), letter) in cases {
            let (status, answer) = ask(&lab, method, &path, &body, who).await?;
            if !letter_fits(letter, status) {
                wrong
                    .push(format!("{method} {documented} for {name}: {status}, not {letter}: {answer:.200}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Nothing has failed in a lane just made, so nothing is done again.
const WITHOUT_EFFECT: [&str; 2] = ["/api/admin/queue/retry", "/api/admin/queue/jobs/retry"];

/// A line that must be in the audit log.
struct Written {
    what: String,
    by: UserId,
    action: &'static str,
    /// Where it is known.
    object: Option<String>,
    result: String,
}

/// What must be written of a request: what was done, or who was refused what and why.
async fn written(
    lab: &Lab,
    (line, [path, body]): (&Line, &[String; 2]),
    who: &Shopper,
    is_done: bool,
) -> Result<Written, Box<dyn std::error::Error>> {
    let (method, documented, ..) = line;
    let (status, answer) = ask(lab, method, path, body, Some(who)).await?;
    let what = format!("{method} {documented}, {status}");
    if is_done {
        let is_it = |(of, path, _): &&(&str, &str, &str)| (of, path) == (method, documented);
        let (.., action) = ACTIONS.iter().find(is_it).ok_or_else(|| format!("{what}: no action"))?;
        return Ok(Written { what, by: who.id, action, object: None, result: "done".to_owned() });
    }
    let problem: Value = serde_json::from_str(&answer)?;
    let result = problem["code"].as_str().ok_or_else(|| format!("{what}: {answer}"))?.to_owned();
    let called = path.split('?').next().unwrap_or_default();
    let object = Some(format!("{method} {called}"));
    Ok(Written { what, by: who.id, action: "admin.refuse", object, result })
}

#[tokio::test]
async fn everything_an_admin_changes_stands_in_the_audit_log_and_so_does_what_is_refused() -> TestResult {
    let lab = Lab::start().await?;
    let changes = LINES.iter().filter(|(method, path, ..)| {
        path.starts_with("/api/admin/") && *method != "GET" && !WITHOUT_EFFECT.contains(path)
    });
    let mut wanted = Vec::new();
    for line in changes {
        let (.., letters) = line;
        let (owner, admin) = (lab.shopper().await?, lab.with_role(Role::Admin).await?);
        let request = fill(&lab, &owner, line).await?;
        let refused = written(&lab, (line, &request), &owner, false).await?;
        assert_eq!(refused.result, "forbidden", "{}", refused.what);
        wanted.push(refused);
        // What made no sense has changed nothing, and is refused too.
        wanted.push(written(&lab, (line, &request), &admin, letters.ends_with('+')).await?);
    }
    for line in wanted {
        let Written { what, by, action, object, result } = line;
        eventually(&format!("{what}: {action} with {result} is in the audit log, once"), async || {
            let lines = sqlx::query_scalar(
                "select count(*) from audit_log
                 where user_id = $1 and ip = '127.0.0.1' and action = $2 and ($3::text is null or object = $3)
                     and (result = $4 or starts_with(result, $4 || ':'))",
            );
            let lines = lines.bind(by.0).bind(action).bind(&object).bind(&result);
            lines.fetch_one(lab.store().pool()).await.is_ok_and(|lines: i64| lines == 1)
        })
        .await;
    }
    Ok(())
}

#[tokio::test]
async fn every_route_of_the_document_stands_in_the_table() -> TestResult {
    let lab = Lab::start().await?;
    let document: Value =
        lab.http.get(format!("{}/api/openapi.json", lab.system.url)).send().await?.json().await?;
    let paths = document["paths"].as_object().ok_or("paths")?;
    let methods = ["get", "put", "post", "delete", "patch"];
    let documented: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = methods.iter().filter(|method| item.get(**method).is_some());
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let listed: BTreeSet<String> =
        LINES.iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    assert_eq!(listed.len(), LINES.len(), "no route stands in it twice");
    let missing: Vec<_> = documented.symmetric_difference(&listed).collect();
    assert!(missing.is_empty(), "in one of document and table only: {missing:#?}");
    for (method, path, .., letters) in LINES {
        let operation = &paths[*path][method.to_lowercase()];
        let asks = operation["security"].as_array().is_some_and(|schemes| schemes.len() == 3);
        assert_eq!(asks, letters.starts_with('-'), "{method} {path}: the document says who may call it");
    }
    Ok(())
}

#[test]
fn every_route_of_the_gateway_is_in_the_document_but_for_the_socket_and_the_page_of_codes() -> TestResult {
    let (mut folders, mut outside) = (vec![PathBuf::from(GATEWAY)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            outside.extend(
                text.lines().filter(|line| line.contains(".route(")).map(|line| line.trim().to_owned()),
            );
        }
    }
    // Who may open one, and subscribe to what, is tested with the sockets.
    let known =
        [r#".route("/ws", get(ws::open_socket))"#, r#".route("/docs/errors", get(codes::explain_codes))"#];
    assert_eq!(outside, known);
    Ok(())
}
