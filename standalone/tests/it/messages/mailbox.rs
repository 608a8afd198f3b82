//! Facts that are told: to whom, in which language, once; and facts that are not true any more.

use serde_json::json;
use shared::auth::CodeKeys;
use shared::domain::{BookingId, EventId, Money, RefundId};
use shared::messages::{Message, Outgoing, Recipient, send};
use standalone::settings::Part;
use uuid::Uuid;

use super::{code, deliver_again, mailbox, order, person, state, to, until_finished, write};
use crate::lab::{EventPlan, Lab, SECRET, TestResult, eventually, make_event};

const OPEN: &str = "--mailbox-open=true";

#[tokio::test]
async fn a_message_is_told_once_when_its_fact_was_committed() -> TestResult {
    let mut lab = Lab::start_with(&[], &[OPEN, "--messages-link-base=https://tickets.test/"]).await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(3, 4)).await?;
    sqlx::query("update venues set time_zone = 'Europe/Kyiv'").execute(lab.store().pool()).await?;
    let shopper = person(&lab, "nova@example.test", "uk").await?;
    let outcome = shopper.outcome(&shopper.book_seats(event, &seats[4..6]).await?).await?;
    let booking = BookingId(outcome["result"]["bookingId"].as_str().unwrap_or_default().parse()?);
    let outgoing = Outgoing { to: to(shopper.id), message: Message::SeatsReserved { booking } };
    let mut undone = lab.store().pool().begin().await?;
    send(&mut undone, &outgoing).await?;
    undone.rollback().await?;
    let mut done = lab.store().pool().begin().await?;
    let job = send(&mut done, &outgoing).await?;
    done.commit().await?;
    eventually("it is told", async || mailbox(&lab).await.is_ok_and(|told| told.len() == 2)).await;
    until_finished(&lab).await;
    let told = mailbox(&lab).await?;
    let of = |channel: &str| told.iter().find(|one| one["channel"] == channel).cloned().unwrap_or_default();
    let mail = of("mail");
    assert_eq!((&mail["to"], &mail["kind"]), (&json!("nova@example.test"), &json!("seats_reserved")));
    assert_eq!(mail["subject"], "2\u{a0}місця заброньовано: Test event");
    let body = mail["body"].as_str().unwrap_or_default().replace('\u{a0}', " ");
    for words in [
        "Вітаємо, Nova!",
        "Test hall, Testville",
        "(Europe/Kyiv)",
        "Hall, ряд 2, місце 1 (One): 10 €",
        "Hall, ряд 2, місце 2 (One): 10 €",
        "Разом: 20 €",
        "https://tickets.test/cart",
    ] {
        assert!(body.contains(words), "{words} is missing in {body}");
    }
    assert_eq!(
        (&of("push")["to"], of("push")["jobId"].as_str()),
        (&json!(format!("user {}", shopper.id)), Some(job.to_string().as_str()))
    );
    deliver_again(&mut lab, job).await?;
    assert_eq!(mailbox(&lab).await?.len(), 2, "a second delivery tells nobody twice");
    // As if the worker had died between the mailbox and the note.
    sqlx::query("delete from messages_sent").execute(lab.store().pool()).await?;
    let sender = super::sender(&lab, &[], std::sync::Arc::new(shared::messages::NoDocuments))?;
    sender.send(job, &outgoing).await?;
    assert_eq!(mailbox(&lab).await?.len(), 2, "nor does one that was not noted");
    Ok(())
}

#[tokio::test]
async fn a_code_goes_where_it_was_made_for_and_nowhere_into_the_logs() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &[OPEN]).await?;
    let logs = lab.servers.dir().join("worker.log");
    let _worker = lab.spawn_logging("worker", &logs)?;
    let shopper = person(&lab, "known@example.test", "ru").await?;
    let mut codes = Vec::new();
    for made_for in [("phone", "+380501112233"), ("email", "new@example.test"), ("login", "nova")] {
        let code = code(&lab, shopper.id, made_for, 10).await?;
        let to = Recipient::CodeTarget { code };
        write(&lab, to, Message::Code { code }).await?;
        codes.push(code);
    }
    let old = code(&lab, shopper.id, ("email", "late@example.test"), -1).await?;
    write(&lab, Recipient::CodeTarget { code: old }, Message::Code { code: old }).await?;
    until_finished(&lab).await;
    let mut told: Vec<(String, String, String)> = Vec::new();
    for one in mailbox(&lab).await? {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        told.push((text("channel"), text("to"), text("body")));
    }
    told.sort();
    let goes: Vec<(&str, &str)> =
        told.iter().map(|(channel, to, _)| (channel.as_str(), to.as_str())).collect();
    assert_eq!(
        goes,
        [("mail", "known@example.test"), ("mail", "new@example.test"), ("sms", "+380501112233")]
    );
    let digits = codes.iter().map(|code| CodeKeys::new(&[SECRET.into()]).digits(*code));
    let digits: Vec<String> = digits.collect();
    let logged = std::fs::read_to_string(&logs)?;
    assert!(logged.contains("message code was sent"), "{logged:.500}");
    for one in &digits {
        assert!(told.iter().any(|(_, _, body)| body.contains(one.as_str())), "somebody was told {one}");
        assert!(!logged.contains(one.as_str()), "a code stands in the logs");
    }
    for person in ["example.test", "+380501112233", "Nova"] {
        assert!(!logged.contains(person), "{person} stands in the logs");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_true_any_more_is_not_told() -> TestResult {
    let lab = Lab::start_with(&[], &[OPEN]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    let outcome = shopper.outcome(&shopper.book(event, json!({"quantity": 1})).await?).await?;
    let booking = outcome["result"]["bookingId"].clone();
    let cancelled = BookingId(booking.as_str().unwrap_or_default().parse()?);
    let body = json!({ "bookingId": booking });
    shopper.call(reqwest::Method::PATCH, "/api/bookings/cancel", Some(body)).await?;
    let paid = order(&lab, shopper.id, event, "paid").await?;
    let unpaid = order(&lab, shopper.id, event, "awaiting_payment").await?;
    for message in [
        Message::Code { code: Uuid::now_v7() },
        Message::AccountChanged { change: Uuid::now_v7() },
        Message::SeatsReserved { booking: cancelled },
        Message::ReservationExpired { booking: cancelled },
        Message::SeatsReserved { booking: BookingId::new() },
        Message::OrderPaid { order: unpaid },
        Message::OrderExpired { order: paid },
        Message::EventCancelled { event },
        Message::EventChanged { event: EventId(999) },
        Message::RefundFailed { refund: RefundId::new() },
        Message::PaymentDiffers { difference: 0 },
    ] {
        write(&lab, to(shopper.id), message).await?;
    }
    let erased = lab.shopper().await?;
    let theirs = order(&lab, erased.id, event, "paid").await?;
    sqlx::query("update users set erased_at = now() where id = $1")
        .bind(erased.id.0)
        .execute(lab.store().pool())
        .await?;
    write(&lab, to(erased.id), Message::OrderPaid { order: theirs }).await?;
    until_finished(&lab).await;
    assert_eq!(mailbox(&lab).await?, Vec::<serde_json::Value>::new());
    let failed: i64 = sqlx::query_scalar("select count(*) from jobs where status = 'failed'")
        .fetch_one(lab.store().pool())
        .await?;
    assert_eq!(failed, 0, "none of it is a failure");
    Ok(())
}

#[tokio::test]
async fn orders_events_and_refunds_are_told_from_what_stands_in_the_store() -> TestResult {
    let lab = Lab::start_with(&[], &[OPEN]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = person(&lab, "nova@example.test", "en").await?;
    let paid = order(&lab, shopper.id, event, "paid").await?;
    let expired = order(&lab, shopper.id, event, "expired").await?;
    let undone = order(&lab, shopper.id, event, "cancelled").await?;
    let amount = Money { amount: 6_550, currency: "EUR".to_owned() };
    for message in [
        Message::OrderPaid { order: paid },
        Message::OrderExpired { order: expired },
        Message::OrderExpired { order: undone },
        Message::Refunded { order: paid, amount },
        Message::EventChanged { event },
        Message::PlaceRemoved { event, place: "Hall, row 3, seat 4".to_owned() },
    ] {
        write(&lab, to(shopper.id), message).await?;
    }
    until_finished(&lab).await;
    let told = mailbox(&lab).await?;
    let mails = told.iter().filter(|one| one["channel"] == "mail");
    let mut subjects: Vec<&str> = mails.filter_map(|one| one["subject"].as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        [
            "A place of yours was removed: Test event",
            "Changed: Test event",
            "Your order was not paid in time: Test event",
            "Your order was not paid in time: Test event",
            "Your tickets: Test event",
            "€65.50 back: Test event",
        ]
    );
    assert_eq!(told.len(), 7, "the tickets are pushed too");
    Ok(())
}

#[tokio::test]
async fn every_admin_hears_of_a_failed_refund_once_though_it_is_done_once_more() -> TestResult {
    let lab = Lab::start_with(&[], &[OPEN]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = lab.shopper().await?;
    for (email, language) in [("ada@example.test", "en"), ("olha@example.test", "uk")] {
        let admin = person(&lab, email, language).await?;
        sqlx::query("update users set role = 'admin' where id = $1")
            .bind(admin.id.0)
            .execute(lab.store().pool())
            .await?;
    }
    let order = order(&lab, shopper.id, event, "paid").await?;
    let refund: Uuid = sqlx::query_scalar(
        "with paid as (
             insert into payments (id, order_id, provider, status, amount_minor, currency)
             values (gen_random_uuid(), $1, 'sandbox', 'captured', 6550, 'EUR') returning id, order_id)
         insert into refunds (id, order_id, payment_id, amount_minor, currency, reason, status)
         select gen_random_uuid(), order_id, id, 6550, 'EUR', 'test', 'failed' from paid returning id",
    )
    .bind(order.0)
    .fetch_one(lab.store().pool())
    .await?;
    let job = write(&lab, Recipient::Admins, Message::RefundFailed { refund: RefundId(refund) }).await?;
    until_finished(&lab).await;
    let told = mailbox(&lab).await?;
    let mut to: Vec<&str> = told.iter().filter_map(|one| one["to"].as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["ada@example.test", "olha@example.test"]);
    // As if one of them had not been reached, and the job had failed for it.
    sqlx::query("delete from messages_sent where user_id = (select min(user_id) from messages_sent)")
        .execute(lab.store().pool())
        .await?;
    sqlx::query("update jobs set status = 'failed' where id = $1")
        .bind(job)
        .execute(lab.store().pool())
        .await?;
    let operator = lab.with_role(shared::auth::Role::Operator).await?;
    let again = json!({"queue": "messages", "id": job});
    let (_, retried) = operator.post("/api/admin/queue/jobs/retry", again).await?;
    let retry: Uuid = retried["items"][0]["id"].as_str().unwrap_or_default().parse()?;
    until_finished(&lab).await;
    assert_eq!(state(&lab, retry).await?.0, "completed");
    assert_eq!(mailbox(&lab).await?.len(), 3, "only the one who was not told is");
    Ok(())
}

#[tokio::test]
async fn the_mailbox_and_what_was_sent_are_forgotten_in_time() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[OPEN]).await?;
    sqlx::query(
        "insert into mailbox (job_id, channel, recipient, kind, subject, body, sent_at)
         select gen_random_uuid(), 'sms', '+1', 'code', n::text, '', now() - make_interval(days => n)
         from generate_series(0, 9) as n",
    )
    .execute(lab.store().pool())
    .await?;
    sqlx::query(
        "insert into messages_sent (job_id, channel, kind, sent_at)
         select gen_random_uuid(), 'sms', 'code', now() - make_interval(days => n * 20)
         from generate_series(0, 3) as n",
    )
    .execute(lab.store().pool())
    .await?;
    assert_eq!(lab.store().forget_messages(1_000).await?, 5);
    assert_eq!(mailbox(&lab).await?.len(), 7);
    sqlx::query(
        "insert into mailbox (job_id, channel, recipient, kind, subject, body)
         select gen_random_uuid(), 'sms', '+1', 'code', 'new', '' from generate_series(1, 5000)",
    )
    .execute(lab.store().pool())
    .await?;
    assert_eq!(lab.store().forget_messages(1_000).await?, 7, "no more than 5,000 are kept");
    assert!(mailbox(&lab).await?.iter().all(|one| one["subject"] == "new"));
    Ok(())
}
