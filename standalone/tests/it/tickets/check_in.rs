//! At the door.

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::tickets::{TicketKeys, ToSign, new_key_pem};

use super::{Evening, Fallible};
use crate::lab::{EventPlan, Shopper, TestResult, eventually, make_event};

/// Of the audit log: action, whose, object, address, result.
type Line = (String, i64, String, String, String);

impl Evening {
    fn scan(&self, nth: usize) -> Value {
        json!({"code": self.text(nth, "code"), "eventId": self.event, "gate": "North 1"})
    }

    async fn status_of(&self, nth: usize) -> Fallible<Value> {
        Ok(self.owner.get(&self.path(nth)).await?.1["status"].clone())
    }

    async fn facts(&self) -> Fallible<i64> {
        let facts = sqlx::query_scalar(
            "select coalesce(sum(json_array_length(facts)), 0)::bigint from outbox where topic = 'ticket.used'",
        );
        Ok(facts.fetch_one(self.lab.store().pool()).await?)
    }

    /// What the audit log says of the doors.
    async fn audited(&self) -> Vec<Line> {
        let lines = sqlx::query_as(
            "select action, user_id, object, host(ip), result from audit_log
             where action in ('ticket.used', 'ticket.refuse') order by action, id",
        );
        lines.fetch_all(self.lab.store().pool()).await.unwrap_or_default()
    }
}

#[tokio::test]
async fn a_ticket_admits_once_and_a_second_scan_says_when_and_where() -> TestResult {
    let evening = Evening::start(2).await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    let (status, entered) = scanner.post("/api/checkin", evening.scan(0)).await?;
    assert_eq!(status, StatusCode::OK, "{entered}");
    assert_eq!((&entered["place"], &entered["holder"]), (&json!("Hall, row 1, seat 1"), &json!("T.")));
    assert!(!entered.to_string().contains("Shopper"), "no more than the initial: {entered}");
    let other_gate =
        json!({"number": evening.text(0, "number"), "event_id": evening.event, "gate": "South 2"});
    let (status, again) = scanner.post("/api/checkin", other_gate).await?;
    assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!("already_used")), "{again}");
    assert_eq!((&again["usedAt"], &again["gate"]), (&entered["usedAt"], &json!("North 1")));
    assert_eq!(evening.status_of(0).await?, "used");
    let typed = evening.text(1, "number").to_lowercase();
    let typed =
        json!({"number": format!("{} {}", &typed[..5], &typed[5..]), "eventId": evening.event, "gate": "N"});
    let admin = evening.lab.with_role(Role::Admin).await?;
    assert_eq!(admin.post("/api/checkin", typed).await?.0, StatusCode::OK);
    assert_eq!(evening.facts().await?, 2);
    let line = |(action, result): (&str, &str), by: &Shopper, nth: usize, gate: &str| -> Line {
        let object = format!("ticket {}, event {}, gate {gate}", evening.text(nth, "id"), evening.event);
        (action.to_owned(), by.id.0, object, "127.0.0.1".to_owned(), result.to_owned())
    };
    let expected = [
        line(("ticket.refuse", "already_used"), &scanner, 0, "South 2"),
        line(("ticket.used", "done"), &scanner, 0, "North 1"),
        line(("ticket.used", "done"), &admin, 1, "N"),
    ];
    eventually("who let whom in, and whom not, is in the audit log", async || {
        evening.audited().await == expected
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn of_many_scans_at_once_one_wins() -> TestResult {
    let evening = Evening::start(1).await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    let scans = (0..12).map(|nth| {
        let mut scan = evening.scan(0);
        scan["gate"] = json!(format!("Gate {nth}"));
        let scanner = &scanner;
        async move { scanner.post("/api/checkin", scan).await }
    });
    let mut counts = (0, 0);
    for answer in futures_util::future::join_all(scans).await {
        match answer? {
            (StatusCode::OK, _) => counts.0 += 1,
            (StatusCode::CONFLICT, problem) if problem["code"] == "already_used" => counts.1 += 1,
            other => return Err(format!("{other:?}").into()),
        }
    }
    assert_eq!(counts, (1, 11));
    assert_eq!(evening.facts().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_ticket_that_is_not_good_here_is_refused_with_its_reason() -> TestResult {
    let evening = Evening::start(3).await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    let (other, ..) = make_event(evening.lab.store(), &EventPlan::hall(1, 1)).await?;
    let forged = TicketKeys::new(&new_key_pem()?).ok_or("a key")?.code(ToSign {
        id: shared::domain::TicketId(evening.text(0, "id").parse()?),
        number: &evening.text(0, "number"),
        event: evening.event,
        place: "VIP",
        issued_at: chrono::Utc::now(),
    });
    let with = |field: &str, value: Value| {
        let mut scan = evening.scan(0);
        scan[field] = value;
        scan
    };
    let by_number = |number: &str| json!({"number": number, "eventId": evening.event, "gate": "N"});
    let unknown = shared::tickets::TicketNumber::random().to_string();
    let both = with("number", json!(unknown));
    let cases = [
        (with("code", json!(forged)), 422, "bad_ticket_code"),
        (with("code", json!("UT1.e30.AAAA")), 422, "bad_ticket_code"),
        (by_number("ABCD-EFGH-JKMP"), 422, "bad_ticket_code"),
        (by_number(&unknown), 404, "not_found"),
        (with("eventId", json!(other)), 409, "wrong_event"),
        (with("gate", json!(" ")), 422, "validation"),
        (with("gate", json!("g".repeat(65))), 422, "validation"),
        (with("code", json!("x".repeat(2_000))), 422, "validation"),
        (both, 422, "validation"),
        (json!({"eventId": evening.event, "gate": "N"}), 422, "validation"),
        (json!({"code": 1}), 400, "bad_json"),
    ];
    for (scan, status, code) in cases {
        let (answered, problem) = scanner.post("/api/checkin", scan.clone()).await?;
        assert_eq!((answered.as_u16(), &problem["code"]), (status, &json!(code)), "{scan:.120}: {problem}");
    }
    for person in [&evening.owner, &evening.lab.with_role(Role::Operator).await?] {
        for path in ["/api/checkin", "/api/checkin/batch"] {
            let (status, problem) = person.post(path, evening.scan(0)).await?;
            assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{path}");
        }
    }
    assert_eq!(evening.facts().await?, 0, "nobody went in");
    evening.sql("update tickets set status = 'cancelled', cancelled_at = now() where number = (select min(number) from tickets)").await?;
    let (_, list) = evening.owner.get("/api/tickets").await?;
    let cancelled =
        list["items"].as_array().and_then(|items| items.iter().find(|item| item["status"] == "cancelled"));
    let number = cancelled.and_then(|ticket| ticket["number"].as_str()).ok_or("a cancelled ticket")?;
    let (status, problem) = scanner.post("/api/checkin", by_number(number)).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("ticket_cancelled")));
    let good =
        (0..3).map(|nth| evening.text(nth, "number")).find(|other| other != number).ok_or("a good one")?;
    evening.sql("update events set starts_at = now() - interval '13 hours'").await?;
    let (status, problem) = scanner.post("/api/checkin", by_number(&good)).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("event_over")));
    evening.sql("update events set status = 'cancelled', starts_at = now()").await?;
    let (status, problem) = scanner.post("/api/checkin", by_number(&good)).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("ticket_cancelled")));
    Ok(())
}

#[tokio::test]
async fn scans_of_an_offline_device_count_from_when_they_were_made_and_may_be_sent_twice() -> TestResult {
    let evening = Evening::start(4).await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    evening.sql("update tickets set issued_at = now() - interval '2 days'").await?;
    evening.sql("update events set starts_at = now() - interval '13 hours'").await?;
    let minutes_ago = |minutes| json!(chrono::Utc::now() - chrono::TimeDelta::minutes(minutes));
    let (doors, in_time) = (minutes_ago(14 * 60), minutes_ago(13 * 60));
    let scan = |nth: usize, at: &Value| {
        let mut scan = evening.scan(nth);
        scan["scannedAt"] = at.clone();
        scan
    };
    let mut wrong = scan(2, &doors);
    wrong["code"] = json!("UT1.e30.AAAA");
    let now = evening.scan(3);
    let batch = json!({"scans": [scan(0, &doors), scan(1, &in_time), wrong, scan(0, &in_time), now, {"eventId": 1, "gate": ""}]});
    let (status, first) = scanner.post("/api/checkin/batch", batch.clone()).await?;
    assert_eq!(status, StatusCode::OK, "{first}");
    let codes = |answer: &Value| -> Vec<String> {
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let word = |item: &Value| item["refused"]["code"].as_str().unwrap_or("admitted").to_owned();
        items.iter().map(word).collect()
    };
    let expected = ["admitted", "admitted", "bad_ticket_code", "already_used", "event_over", "validation"];
    assert_eq!(codes(&first), expected, "{first}");
    assert_eq!(first["admitted"], 2);
    let audited = evening.audited().await;
    let refused: Vec<&str> =
        audited.iter().filter(|line| line.0 == "ticket.refuse").map(|line| line.4.as_str()).collect();
    assert_eq!(refused, expected[2..5], "what makes no sense is nobody at a door");
    let used_at: chrono::DateTime<chrono::Utc> =
        serde_json::from_value(first["items"][0]["admitted"]["usedAt"].clone())?;
    let told: chrono::DateTime<chrono::Utc> = serde_json::from_value(doors.clone())?;
    assert_eq!(used_at.timestamp_micros(), told.timestamp_micros());
    let (_, second) = scanner.post("/api/checkin/batch", batch).await?;
    assert_eq!(codes(&second), expected, "the answer may have been lost on its way");
    assert_eq!(evening.facts().await?, 2, "and nothing happens twice");
    let stranger = evening.lab.with_role(Role::Scanner).await?;
    let (_, problem) = stranger.post("/api/checkin", scan(0, &doors)).await?;
    assert_eq!(problem["code"], "already_used", "another device is another scan");
    let future = json!(chrono::Utc::now() + chrono::TimeDelta::days(30));
    let (_, problem) = scanner.post("/api/checkin", scan(3, &future)).await?;
    assert_eq!(problem["code"], "event_over", "a clock that runs ahead is not believed");
    Ok(())
}

#[tokio::test]
async fn two_scans_of_a_device_whose_clock_is_slow_admit_once() -> TestResult {
    let evening = Evening::start(1).await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    let scan = |days| {
        let mut scan = evening.scan(0);
        scan["scannedAt"] = json!(chrono::Utc::now() - chrono::TimeDelta::days(days));
        scan
    };
    let (status, entered) = scanner.post("/api/checkin", scan(400)).await?;
    assert_eq!(status, StatusCode::OK, "{entered}");
    let (status, again) = scanner.post("/api/checkin", scan(399)).await?;
    assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!("already_used")), "{again}");
    assert_eq!(again["usedAt"], entered["usedAt"], "it counts from when the ticket was issued");
    assert_eq!(evening.facts().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_batch_is_bounded() -> TestResult {
    let evening = Evening::start(1).await?;
    let scanner = evening.lab.with_role(Role::Scanner).await?;
    let scans = |count: usize| json!({"scans": vec![evening.scan(0); count]});
    let (status, answer) = scanner.post("/api/checkin/batch", scans(500)).await?;
    assert_eq!((status, &answer["admitted"]), (StatusCode::OK, &json!(1)));
    for count in [0, 501] {
        let (status, problem) = scanner.post("/api/checkin/batch", scans(count)).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")));
    }
    let (status, problem) = scanner.post("/api/checkin/batch", scans(3_000)).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body_too_large")));
    let mut large = evening.scan(0);
    large["gate"] = json!("g".repeat(20_000));
    let (status, _) = scanner.post("/api/checkin", large).await?;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "a single scan has no room for more");
    Ok(())
}
