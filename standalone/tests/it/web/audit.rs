//! The audit log: what is in it, how it is searched, and that it is only ever added to.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::shop::Sweeps;
use sqlx::{Connection as _, Executor as _, PgConnection};
use standalone::settings::Part;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

async fn lines(admin: &Shopper, filter: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/api/admin/audit?{filter}")).await;
    answer.ok().and_then(|(_, list)| list["items"].as_array().cloned()).unwrap_or_default()
}

#[tokio::test]
async fn administrative_actions_are_found_by_everything_they_say() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let (admin, operator) = (lab.with_role(Role::Admin).await?, lab.with_role(Role::Operator).await?);
    for _ in 0..3 {
        operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
        operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    }
    let all = lines(&admin, &format!("userId={}", operator.id)).await;
    assert_eq!(all.len(), 6);
    let line = &all[0];
    assert_eq!((&line["action"], &line["result"]), (&json!("queue.resume"), &json!("done")), "newest first");
    assert_eq!((&line["object"], &line["ip"]), (&json!(format!("event {event}")), &json!("127.0.0.1")));
    let middle = all[3]["at"].as_str().ok_or("a time")?;
    for (filter, count) in [
        ("action=queue.pause".to_owned(), 3),
        ("action=queue.".to_owned(), 6),
        ("action=queue".to_owned(), 0),
        (format!("object=event%20{event}&ip=127.0.0.1&result=done"), 6),
        ("ip=203.0.113.9".to_owned(), 0),
        (format!("from={middle}"), 4),
        (format!("to={middle}"), 2),
    ] {
        assert_eq!(lines(&admin, &filter).await.len(), count, "{filter}");
    }
    let (mut cursor, mut paged) = (String::new(), Vec::new());
    loop {
        let (_, page) = admin.get(&format!("/api/admin/audit?limit=4{cursor}")).await?;
        paged.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, all, "pages neither overlap nor leave anything out");
    for wrong in ["cursor=x", "limit=many", "ip=here", "from=yesterday", "action="] {
        let (status, _) = admin.get(&format!("/api/admin/audit?{wrong}")).await?;
        assert!([StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&status), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn refused_bookings_refused_purchases_and_failed_logins_come_into_it_once() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shoppers = lab.shoppers(2).await?;
    shoppers[0].outcome(&shoppers[0].book_seats(event, &seats).await?).await?;
    let lost = shoppers[1].book(event, json!({"quantity": 1})).await?;
    assert_eq!(shoppers[1].outcome(&lost).await?["code"], "sold_out");
    eventually("its refusal is in the audit log", async || {
        let found = lines(&admin, &format!("action=booking.refuse&userId={}", shoppers[1].id)).await;
        found.len() == 1
            && found[0]["result"] == "sold_out"
            && found[0]["ip"] == "127.0.0.1"
            && found[0]["object"]
                .as_str()
                .is_some_and(|object| object.ends_with(&format!("of event {event}")))
    })
    .await;
    let (status, problem) = shoppers[1].post("/api/cart/checkout", json!({})).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("cart_empty")));
    let (_, cart) = shoppers[0].get("/api/cart").await?;
    let theirs = cart["items"][0]["id"].as_str().ok_or("a booking")?;
    let initiate = json!({"bookingId": theirs});
    let (status, _) =
        shoppers[1].call(Method::PATCH, "/api/bookings/initiatePayment", Some(initiate)).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let order = uuid::Uuid::now_v7();
    let (status, _) = shoppers[1].post(&format!("/api/orders/{order}/pay"), json!({})).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    eventually("what is not sold is in it", async || {
        let found =
            lines(&admin, &format!("action=order.refuse&ip=127.0.0.1&userId={}", shoppers[1].id)).await;
        let said = |nth: usize, object: &str, result: &str| {
            found[nth]["object"] == object && found[nth]["result"] == result
        };
        found.len() == 3
            && said(2, "cart", "cart_empty")
            && said(1, &format!("booking {theirs}"), "not_found")
            && said(0, &format!("order {order}"), "not_found")
    })
    .await;
    let (status, _) =
        shoppers[1].post(&format!("/api/bookings/{event}/book"), json!({"seatIds": [seats[0]]})).await?;
    assert_eq!(status, StatusCode::CONFLICT, "refused at once");
    lab.http
        .post(format!("{}/api/auth/login", lab.system.url))
        .json(&json!({"login": "nobody", "password": "wrong password"}))
        .send()
        .await?;
    eventually("what is refused at the door is in it too", async || {
        let seat = lines(&admin, "result=seat_taken").await;
        let login = lines(&admin, "action=auth.login&result=bad_credentials").await;
        seat.len() == 1 && seat[0]["object"] == json!(format!("event {event}")) && login.len() == 1
    })
    .await;
    let copied = Sweeps::new(lab.store().clone(), lab.system.queue.clone()).audit_refusals(100).await?;
    assert_eq!(copied, 0, "nothing is copied twice");
    let won = lines(&admin, &format!("userId={}", shoppers[0].id)).await;
    assert!(won.iter().all(|line| line["action"] != "booking.refuse"), "who won is not refused: {won:?}");
    Ok(())
}

#[tokio::test]
async fn wrong_passwords_that_come_with_a_request_are_in_it_once_each() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    lab.account("nova").await?;
    for (path, password) in [("/api/cart", "wrong password"), ("/api/admin/audit", "another wrong one")] {
        let (status, problem) = lab.basic(path, ("nova", password)).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("bad_credentials")));
    }
    // Lines that follow are written after them, or with them.
    lab.send(Method::POST, "/api/auth/login", json!({"login": "nobody", "password": "wrong one"})).await?;
    eventually("all of them are in the audit log", async || {
        lines(&admin, "action=auth.login&result=bad_credentials").await.len() >= 3
    })
    .await;
    let found = lines(&admin, "action=auth.login&result=bad_credentials").await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found.iter().all(|line| line["ip"] == "127.0.0.1" && line["object"] == "an account"),
        "{found:?}"
    );
    Ok(())
}

#[tokio::test]
async fn nobody_changes_it_and_only_whole_months_go() -> TestResult {
    // Without a sweeper, which would drop months as well.
    let lab = Lab::start_with(&[Part::Worker], &[]).await?;
    let mut owner = PgConnection::connect(&lab.servers.postgres.url()).await?;
    // The beginning of the month in which a year is over, which is kept whole, and the moment before it.
    let kept = "date_trunc('month', now() - interval '365 days', 'UTC')";
    for at in [&format!("{kept} - interval '1 second'"), kept, "now()"] {
        let line = format!(
            "select make_audit_month({at}); insert into audit_log (at, action, object, result) values ({at}, 'a', 'b', 'c')"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(line)).execute(&mut owner).await?;
    }
    let month: String =
        sqlx::query_scalar("select 'audit_log_' || to_char(now() at time zone 'UTC', 'YYYYMM')")
            .fetch_one(&mut owner)
            .await?;
    owner.execute("create role usher_application login").await?;
    owner.execute("select grant_application_rights('usher_application')").await?;
    let url = lab.servers.postgres.url().replace("postgres://usher@", "postgres://usher_application@");
    let mut application = PgConnection::connect(&url).await?;
    let line = "insert into audit_log (action, object, result) values ('a', 'b', 'c')";
    application.execute(line).await?;
    for change in [
        "update audit_log set result = 'x'".to_owned(),
        "delete from audit_log".to_owned(),
        "truncate audit_log".to_owned(),
        format!("update {month} set result = 'x'"),
        format!("delete from {month}"),
        format!("truncate {month}"),
    ] {
        for (who, connection) in [("owner", &mut owner), ("application", &mut application)] {
            let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(change.clone())).execute(connection).await;
            let code = refused.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
            assert_eq!(code.as_deref(), Some("42501"), "{change} by the {who}");
        }
    }
    for forbidden in [format!("drop table {month}"), "select grant_application_rights('usher')".to_owned()] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(forbidden.clone())).execute(&mut application).await;
        assert!(refused.is_err(), "{forbidden}");
    }
    let dropped: i64 = sqlx::query_scalar("select drop_audit_months(1)").fetch_one(&mut application).await?;
    assert_eq!(dropped, 1, "a year is kept whatever is asked for");
    let left: i64 = sqlx::query_scalar("select count(*) from audit_log").fetch_one(&mut owner).await?;
    assert_eq!(left, 3);
    Ok(())
}
