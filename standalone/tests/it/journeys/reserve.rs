//! A place, whichever: `POST /api/bookings/reserve`, and what is asked of a booking afterwards.

use std::collections::HashMap;

use reqwest::header::ACCEPT_LANGUAGE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::EventId;

use crate::lab::{EventPlan, Lab, Shopper, TestResult, assert_invariants, eventually, make_event};

type AnyError = Box<dyn std::error::Error>;

/// A club that gives one booking a person.
async fn make_club(lab: &Lab, room: i32) -> Result<EventId, AnyError> {
    let (event, ..) = make_event(lab.store(), &EventPlan::club(room)).await?;
    sqlx::query("update events set one_booking_each = true where id = $1")
        .bind(event.0)
        .execute(lab.store().pool())
        .await?;
    Ok(event)
}

async fn reserve(shopper: &Shopper, body: Value) -> Result<(StatusCode, Value), reqwest::Error> {
    shopper.post("/api/bookings/reserve", body).await
}

#[tokio::test]
async fn a_place_is_reserved_once_a_person_where_the_event_says_so() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 5).await?;
    let shopper = lab.shopper().await?;
    let (status, booking) = reserve(&shopper, json!({"event_id": event, "user_id": shopper.id})).await?;
    assert_eq!((status, &booking["status"]), (StatusCode::CREATED, &json!("created")), "{booking}");
    assert_eq!(booking["seats"].as_array().map(Vec::len), Some(1));
    let again = shopper
        .http
        .post(format!("{}/api/bookings/reserve", shopper.url))
        .bearer_auth(&shopper.token)
        .header(ACCEPT_LANGUAGE, "ru-RU,ru;q=0.9")
        .json(&json!({"eventId": event}))
        .send()
        .await?;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let again: Value = again.json().await?;
    assert_eq!(
        (&again["code"], &again["detail"]),
        (&json!("already_booked"), &json!("Вы уже забронировали место"))
    );
    let id = booking["id"].as_str().ok_or("id")?;
    let (status, deleted) = shopper.call(Method::DELETE, &format!("/api/bookings/{id}"), None).await?;
    assert_eq!((status, &deleted["status"]), (StatusCode::OK, &json!("cancelled")));
    let (status, _) = reserve(&shopper, json!({"event_id": event})).await?;
    assert_eq!(status, StatusCode::CREATED, "a booking that was given back is none");
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_place_wherever_is_the_best_seat_then_one_in_an_area_and_the_same_request_whatever_is_free()
-> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, area) =
        make_event(lab.store(), &EventPlan { standing: 2, ..EventPlan::hall(1, 1) }).await?;
    let [first, second, third]: [_; 3] = lab.shoppers(3).await?.try_into().map_err(|_| "three shoppers")?;
    let (status, seated) = reserve(&first, json!({"event_id": event})).await?;
    assert_eq!((status, &seated["seats"][0]["seatId"]), (StatusCode::CREATED, &json!(seats[0])), "{seated}");
    let keyed = async |body: Value| {
        let request = lab.http.post(format!("{}/api/bookings/{event}/book", second.url)).json(&body);
        let answer = request.bearer_auth(&second.token).header("Idempotency-Key", "once").send().await?;
        Ok::<_, AnyError>((answer.status(), answer.json::<Value>().await?))
    };
    let (status, standing) = keyed(json!({})).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{standing}");
    let job = standing["jobId"].as_str().ok_or("job")?;
    let won = second.outcome(job).await?;
    assert_eq!(won["result"]["seats"][0]["areaId"], json!(area), "{won}");
    let (status, _) = reserve(&first, json!({"event_id": event})).await?;
    assert_eq!(status, StatusCode::CREATED, "the last place");
    let (status, again) = keyed(json!({})).await?;
    assert_eq!(
        (status, &again["jobId"]),
        (StatusCode::ACCEPTED, &json!(job)),
        "nothing is free by now: {again}"
    );
    let refused = third.outcome(&third.book(event, json!({})).await?).await?;
    assert_eq!(refused["code"], "sold_out", "{refused}");
    let waits = third.book(event, json!({"standby": true})).await?;
    eventually("whoever says so stands by, without a number too", async || {
        third.status(&waits).await.is_ok_and(|status| status["standby"] == true)
    })
    .await;
    let (club, ..) = make_event(lab.store(), &EventPlan::club(5)).await?;
    let won = third.outcome(&third.book(club, json!({"quantity": 2})).await?).await?;
    assert_eq!(
        won["result"]["seats"].as_array().map(Vec::len),
        Some(2),
        "a number is enough in a club: {won}"
    );
    assert_invariants(lab.store(), event).await?;
    assert_invariants(lab.store(), club).await
}

#[tokio::test]
async fn requests_at_once_of_one_person_win_one_place() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 50).await?;
    let shopper = lab.shopper().await?;
    let asked = (0..5).map(|key| {
        let request = shopper
            .http
            .post(format!("{}/api/bookings/reserve", shopper.url))
            .bearer_auth(&shopper.token)
            .header("Idempotency-Key", format!("key-{key}"))
            .json(&json!({"event_id": event}));
        async move { request.send().await.map(|answer| answer.status()) }
    });
    let mut answers = HashMap::new();
    for status in futures_util::future::try_join_all(asked).await? {
        *answers.entry(status).or_insert(0) += 1;
    }
    assert_eq!(answers, HashMap::from([(StatusCode::CREATED, 1), (StatusCode::CONFLICT, 4)]));
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn the_database_itself_refuses_a_second_booking() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 5).await?;
    let shopper = lab.shopper().await?;
    assert_eq!(reserve(&shopper, json!({"event_id": event})).await?.0, StatusCode::CREATED);
    sqlx::query("update bookings set status = 'paid', closed_at = now() where event_id = $1")
        .bind(event.0)
        .execute(lab.store().pool())
        .await?;
    let refused = sqlx::query(
        "insert into bookings (id, event_id, user_id, expires_at, is_only)
         values (gen_random_uuid(), $1, $2, now(), true)",
    )
    .bind(event.0)
    .bind(shopper.id.0)
    .execute(lab.store().pool())
    .await;
    let refused = refused.err().and_then(|error| Some(error.as_database_error()?.constraint()?.to_owned()));
    assert_eq!(refused.as_deref(), Some("bookings_only_key"));
    let (status, answer) = shopper.post("/api/bookings", json!({"event_id": event})).await?;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("already_booked")));
    let (status, answer) = reserve(&shopper, json!({"event_id": event})).await?;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("already_booked")));
    Ok(())
}

/// Address, object and result of what the audit log says of somebody who reserves for others.
async fn acted_for_others(lab: &Lab, who: &Shopper) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    sqlx::query_as(
        "select host(ip), object, result from audit_log
         where action = 'booking.reserve_for' and user_id = $1 order by id",
    )
    .bind(who.id.0)
    .fetch_all(lab.store().pool())
    .await
}

#[tokio::test]
async fn nobody_reserves_for_another_one_but_admins_and_both_stand_in_the_audit_log() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 5).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let admin = lab.with_role(Role::Admin).await?;
    for person in [json!(second.id), json!(second.id.to_string()), json!("somebody"), json!(0)] {
        let (status, answer) = reserve(&first, json!({"event_id": event, "user_id": person})).await?;
        assert_eq!((status, &answer["code"]), (StatusCode::FORBIDDEN, &json!("not_owner")), "{person}");
    }
    let (status, booking) =
        reserve(&admin, json!({"event_id": event, "user_id": second.id.to_string()})).await?;
    assert_eq!(status, StatusCode::CREATED, "{booking}");
    let path = format!("/api/bookings/{}", booking["id"].as_str().ok_or("id")?);
    assert_eq!(second.get(&path).await?.0, StatusCode::OK, "it is theirs");
    assert_eq!(admin.get(&path).await?.0, StatusCode::OK);
    assert_eq!(first.get(&path).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(first.call(Method::DELETE, &path, None).await?.0, StatusCode::NOT_FOUND);
    let (status, _) = reserve(&admin, json!({"event_id": event, "user_id": "nobody-at-all"})).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, answer) = reserve(&admin, json!({"event_id": event, "user_id": "no\0body"})).await?;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("validation")),
        "{answer}"
    );
    assert_eq!(reserve(&admin, json!({"event_id": event})).await?.0, StatusCode::CREATED, "for oneself");
    let job: i64 = sqlx::query_scalar("select number from job_outcomes where user_id = $1")
        .bind(second.id.0)
        .fetch_one(lab.store().pool())
        .await?;
    let object = format!("job {job} of event {event} for user {}", second.id);
    assert_eq!(
        acted_for_others(&lab, &admin).await?,
        [("127.0.0.1".to_owned(), object, "done".to_owned())],
        "written before it was answered, and only of what was for another one"
    );
    eventually("who wanted to and may not is in the audit log", async || {
        let refused = ("127.0.0.1".to_owned(), format!("event {event}"), "not_owner".to_owned());
        let lines = acted_for_others(&lab, &first).await;
        lines.is_ok_and(|lines| lines.len() == 4 && lines.iter().all(|line| *line == refused))
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn admins_and_services_reserve_for_whom_they_name_by_login_or_address() -> TestResult {
    let lab = Lab::start().await?;
    let admin = lab.with_role(Role::Admin).await?;
    let people = [lab.account("user123").await?.shopper, lab.account("user124").await?.shopper];
    let (service, _) = lab.service(&admin, &["book", "users"]).await?;
    for (reserver, names) in
        [(&admin, ["user123", "user124@example.test"]), (&service, [" User123@Example.test ", "USER124"])]
    {
        let event = make_club(&lab, 5).await?;
        for (person, name) in people.iter().zip(names) {
            let (status, booking) = reserve(reserver, json!({"event_id": event, "user_id": name})).await?;
            assert_eq!(status, StatusCode::CREATED, "{name}: {booking}");
            let path = format!("/api/bookings/{}", booking["id"].as_str().ok_or("id")?);
            assert_eq!(person.get(&path).await?.1["id"], booking["id"], "it is theirs");
            let (status, again) = reserve(person, json!({"event_id": event})).await?;
            assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!("already_booked")), "{name}");
        }
        let (status, _) = reserve(reserver, json!({"event_id": event, "user_id": "nobody-at-all"})).await?;
        assert_eq!(status, StatusCode::NOT_FOUND, "and they are told who is not there");
        assert_invariants(lab.store(), event).await?;
    }
    let event = make_club(&lab, 5).await?;
    for (scopes, code) in [
        (&["book"][..], "not_owner"),
        (&["book", "operate"][..], "not_owner"),
        (&["book", "admin"][..], "not_owner"),
        (&["users"][..], "forbidden"),
    ] {
        let (other, _) = lab.service(&admin, scopes).await?;
        for name in ["user123", "nobody-at-all"] {
            let (status, refused) = reserve(&other, json!({"event_id": event, "user_id": name})).await?;
            assert_eq!(
                (status, &refused["code"]),
                (StatusCode::FORBIDDEN, &json!(code)),
                "{scopes:?} for {name}"
            );
        }
    }
    // Figures are for admins, services with that scope among them, and not for whoever reserves for others.
    let path = format!("/metrics/{}", people[0].id);
    let (of_admins, _) = lab.service(&admin, &["admin"]).await?;
    for viewer in [&people[0], &admin, &of_admins] {
        let (status, figures) = viewer.get(&path).await?;
        assert_eq!((status, &figures["total"], &figures["events"]), (StatusCode::OK, &json!(2), &json!(2)));
    }
    for viewer in [&people[1], &service] {
        let (status, refused) = viewer.get(&path).await?;
        assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("not_owner")));
    }
    Ok(())
}

#[tokio::test]
async fn the_last_place_goes_to_one_and_the_next_one_is_told_sold_out() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 2).await?;
    let shoppers = lab.shoppers(3).await?;
    for shopper in &shoppers[..2] {
        assert_eq!(reserve(shopper, json!({"event_id": event})).await?.0, StatusCode::CREATED);
    }
    let (status, answer) = reserve(&shoppers[2], json!({"event_id": event})).await?;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("sold_out")));
    eventually("the event shows that nothing is left", async || {
        let event = shoppers[2].get(&format!("/api/events/{event}")).await;
        event.is_ok_and(|(_, event)| event["availableSeats"] == 0)
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn a_paused_line_answers_with_a_place_in_it() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 2).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let shopper = lab.shopper().await?;
    let (status, accepted) = reserve(&shopper, json!({"event_id": event})).await?;
    assert_eq!((status, &accepted["queuePosition"]), (StatusCode::ACCEPTED, &json!(1)), "{accepted}");
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    let outcome = shopper.outcome(accepted["jobId"].as_str().ok_or("job")?).await?;
    assert_eq!(outcome["status"], "completed");
    Ok(())
}

#[tokio::test]
async fn booking_figures_are_for_oneself_and_for_admins() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_club(&lab, 5).await?;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let admin = lab.with_role(Role::Admin).await?;
    let (_, booking) = reserve(&first, json!({"event_id": event})).await?;
    let path = format!("/api/bookings/{}", booking["id"].as_str().ok_or("id")?);
    first.call(Method::DELETE, &path, None).await?;
    reserve(&first, json!({"event_id": event})).await?;
    let path = format!("/metrics/{}", first.id);
    for viewer in [&first, &admin] {
        let (status, figures) = viewer.get(&path).await?;
        assert_eq!(status, StatusCode::OK);
        let of = |name: &str| figures[name].as_u64();
        assert_eq!(
            [of("total"), of("created"), of("cancelled"), of("events"), of("heldPlaces"), of("soldPlaces")],
            [Some(2), Some(1), Some(1), Some(1), Some(1), Some(0)],
            "{figures}"
        );
    }
    assert_eq!(second.get(&path).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(admin.get("/metrics/0").await?.0, StatusCode::NOT_FOUND);
    Ok(())
}

/// A club in which nothing costs anything.
async fn make_free_club(lab: &Lab, room: i32) -> Result<EventId, AnyError> {
    let event = make_club(lab, room).await?;
    sqlx::query("update price_tiers set price_minor = 0 where event_id = $1")
        .bind(event.0)
        .execute(lab.store().pool())
        .await?;
    Ok(event)
}

#[tokio::test]
async fn what_costs_nothing_is_paid_at_once() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_free_club(&lab, 5).await?;
    let shopper = lab.shopper().await?;
    let (status, booking) = reserve(&shopper, json!({"event_id": event})).await?;
    assert_eq!((status, &booking["status"]), (StatusCode::CREATED, &json!("paid")), "{booking}");
    let (_, again) = reserve(&shopper, json!({"event_id": event})).await?;
    assert_eq!(again["code"], "already_booked");
    eventually("the ticket is there", async || {
        let tickets = shopper.get("/api/tickets").await;
        tickets.is_ok_and(|(_, tickets)| tickets["items"][0]["status"] == "valid")
    })
    .await;
    assert_invariants(lab.store(), event).await
}

#[tokio::test]
async fn what_costs_nothing_is_paid_also_when_nobody_waits_for_it() -> TestResult {
    let lab = Lab::start().await?;
    let event = make_free_club(&lab, 5).await?;
    let shopper = lab.shopper().await?;
    let won = shopper.outcome(&shopper.book(event, json!({})).await?).await?;
    let path = format!("/api/bookings/{}", won["result"]["bookingId"].as_str().ok_or("booking")?);
    eventually("the booking is paid", async || {
        shopper.get(&path).await.is_ok_and(|(_, booking)| booking["status"] == "paid")
    })
    .await;
    eventually("it is in the audit log with the address it was asked for from", async || {
        let lines: Result<Vec<Option<String>>, _> = sqlx::query_scalar(
            "select host(ip) from audit_log where action = 'payment.completed' and user_id = $1",
        )
        .bind(shopper.id.0)
        .fetch_all(lab.store().pool())
        .await;
        lines.is_ok_and(|lines| lines == [Some("127.0.0.1".to_owned())])
    })
    .await;
    assert_invariants(lab.store(), event).await
}
