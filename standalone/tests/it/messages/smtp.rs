//! Mail through a real mail server: what it gets, what it refuses, and what happens then.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use shared::domain::OrderId;
use shared::messages::{Attachment, Message, NoDocuments, Outgoing, SendError, Sent, TicketDocuments};

use super::{order, person, sender, state, to, until_finished, write};
use crate::lab::{EventPlan, Lab, MailServer, TestResult, eventually, make_event};

/// Two tickets for every order.
struct Printer;

impl TicketDocuments for Printer {
    fn pdfs(&self, order: OrderId) -> BoxFuture<'_, Result<Vec<Attachment>, SendError>> {
        let file =
            move |nth: u8| Attachment { name: format!("ticket-{nth}-{order}.pdf"), bytes: vec![nth; 1_000] };
        Box::pin(async move { Ok(vec![file(1), file(2)]) })
    }
}

#[tokio::test]
async fn a_mail_goes_through_the_server_and_says_what_it_is_and_the_code_in_one_is_good() -> TestResult {
    let server = MailServer::start(Some(("usher", "secret"))).await?;
    let words =
        [format!("--smtp-url={}", server.url()), "--mail-from=Box office <box@tickets.test>".to_owned()];
    let lab = Lab::start_with(&[], &words.each_ref().map(String::as_str)).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = person(&lab, "nova@example.test", "ru").await?;
    let job = write(&lab, to(shopper.id), Message::EventChanged { event }).await?;
    eventually("the mail is there", async || !server.mails().is_empty()).await;
    let mail = &server.mails()[0];
    let header = |name: &str| mail[name].as_str().unwrap_or_default();
    assert_eq!(header("from"), "Box office <box@tickets.test>");
    assert_eq!(header("to"), "Nova <nova@example.test>");
    assert_eq!(header("subject"), "Изменения: Test event");
    assert_eq!(header("messageId"), format!("<{job}.{}@tickets.test>", shopper.id));
    assert_eq!((header("language"), header("autoSubmitted")), ("ru", "auto-generated"));
    assert!(header("text").contains("Здравствуйте, Nova!"), "{mail}");
    assert!(header("html").contains("<strong>Test event</strong>"), "{mail}");
    until_finished(&lab).await;
    assert_eq!(state(&lab, job).await?, ("completed".to_owned(), 1, None));
    let noted: (String, i64, String) =
        sqlx::query_as("select channel, user_id, kind from messages_sent where job_id = $1")
            .bind(job)
            .fetch_one(lab.store().pool())
            .await?;
    assert_eq!(noted, ("mail".to_owned(), shopper.id.0, "event_changed".to_owned()));
    verify_by_mail(&lab, &server).await
}

/// Somebody who registers has the code from the mail alone.
async fn verify_by_mail(lab: &Lab, server: &MailServer) -> TestResult {
    let fresh = lab.account("fresh").await?;
    let mailed = || server.mails().into_iter().find(|mail| mail["rcpt"] == json!([fresh.email]));
    eventually("the code is there", async || mailed().is_some()).await;
    let mail = mailed().ok_or("a mail")?;
    let text = mail["text"].as_str().unwrap_or_default();
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = text.lines().map(str::trim).find(is_code).ok_or(text)?;
    assert!(text.contains("It is good for 10\u{a0}minutes"), "{text}");
    assert!(mail["html"].as_str().unwrap_or_default().contains(code), "{mail}");
    assert!(
        !mail["subject"].as_str().unwrap_or_default().contains(code),
        "what is shown on locked screens: {mail}"
    );
    let nova = fresh.shopper;
    assert_eq!(nova.get("/api/account").await?.1["emailVerified"], false);
    let (status, account) = nova.post("/api/account/verification/confirm", json!({"code": code})).await?;
    assert_eq!((status, &account["emailVerified"]), (StatusCode::OK, &json!(true)), "{account}");
    Ok(())
}

#[tokio::test]
async fn tickets_are_attached_and_a_second_delivery_can_be_told() -> TestResult {
    let server = MailServer::start(None).await?;
    let lab = Lab::start_with(&[standalone::settings::Part::Gateway], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let shopper = person(&lab, "nova@example.test", "en").await?;
    let paid = order(&lab, shopper.id, event, "paid").await?;
    let outgoing = Outgoing { to: to(shopper.id), message: Message::OrderPaid { order: paid } };
    let job = uuid::Uuid::now_v7();
    let url = format!("--smtp-url={}", server.url());
    let sender = sender(&lab, &[&url], Arc::new(Printer))?;
    sender.send(job, &outgoing).await?;
    eventually("it is there", async || !server.mails().is_empty()).await;
    assert_eq!(sender.send(job, &outgoing).await?, Sent::Nobody);
    assert_eq!(server.mails().len(), 1, "what was noted is not sent again");
    let attachments = &server.mails()[0]["attachments"];
    assert_eq!(
        attachments[1],
        json!({"name": format!("ticket-2-{paid}.pdf"), "type": "application/pdf", "bytes": 1_000})
    );
    assert_eq!(attachments.as_array().map(Vec::len), Some(2));
    assert!(server.mails()[0]["text"].as_str().unwrap_or_default().contains("your tickets are attached"));
    // As if the worker had died between the server's answer and the note: at least once, and the reader can tell.
    sqlx::query("delete from messages_sent").execute(lab.store().pool()).await?;
    sender.send(job, &outgoing).await?;
    eventually("it came again", async || server.mails().len() == 2).await;
    assert_eq!(server.mails()[0]["peer"], server.mails()[1]["peer"], "the connection was kept");
    assert_eq!(server.mails()[0]["messageId"], server.mails()[1]["messageId"]);
    Ok(())
}

#[tokio::test]
async fn a_mail_that_must_wait_is_tried_again_and_one_that_is_refused_is_seen_and_retried() -> TestResult {
    let server = MailServer::start(None).await?;
    let url = format!("--smtp-url={}", server.url());
    let lab = Lab::start_with(&[], &[&url, "--messages-backoff-ms=50"]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let later = person(&lab, "later@example.test", "en").await?;
    let refused = person(&lab, "refused@example.test", "en").await?;
    let waited = write(&lab, to(later.id), Message::EventChanged { event }).await?;
    let failed = write(&lab, to(refused.id), Message::EventChanged { event }).await?;
    until_finished(&lab).await;
    let told = Some("the mail server answered 451".to_owned());
    assert_eq!(state(&lab, waited).await?, ("completed".to_owned(), 2, told));
    let operator = lab.with_role(Role::Operator).await?;
    let (_, queues) = operator.get("/api/admin/queue/named").await?;
    assert_eq!(
        (&queues["items"][0]["queue"], &queues["items"][0]["failed"]),
        (&json!("messages"), &json!(1))
    );
    let (_, jobs) = operator.get("/api/admin/queue/jobs?queue=messages").await?;
    let job = &jobs["items"][0];
    assert_eq!((&job["id"], &job["attempts"]), (&json!(failed), &json!(1)), "a refusal is for good");
    assert_eq!(job["error"], "the mail server answered 550", "and nobody's address is told");
    sqlx::query("update users set email = 'mended@example.test' where id = $1")
        .bind(refused.id.0)
        .execute(lab.store().pool())
        .await?;
    let (_, retried) = operator.post("/api/admin/queue/jobs/retry", json!({"queue": "messages"})).await?;
    assert_eq!(retried["items"][0]["retryOf"], json!(failed));
    eventually("it arrives now", async || {
        server.mails().iter().any(|mail| mail["rcpt"] == json!(["mended@example.test"]))
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_slow_or_does_not_know_us_is_tried_again() -> TestResult {
    let lab = Lab::start_with(&[standalone::settings::Part::Gateway], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let (open, closed) =
        (MailServer::start(None).await?, MailServer::start(Some(("usher", "secret"))).await?);
    let stranger = closed.url().replace("secret", "wrong");
    for (email, url, told) in [
        ("nova@example.test", "smtp://127.0.0.1:1".to_owned(), "the mail server could not be talked to"),
        ("slow@example.test", open.url(), "the mail server did not answer in time"),
        ("stray@example.test", stranger, "the mail server answered 535"),
    ] {
        let shopper = person(&lab, email, "en").await?;
        let words = [format!("--smtp-url={url}"), "--messages-timeout-ms=700".to_owned()];
        let sender = sender(&lab, &words.each_ref().map(String::as_str), Arc::new(NoDocuments))?;
        let outgoing = Outgoing { to: to(shopper.id), message: Message::EventChanged { event } };
        match sender.send(uuid::Uuid::now_v7(), &outgoing).await {
            Err(SendError::Retry(why)) => assert_eq!(why, told),
            other => return Err(format!("{email}: {other:?}").into()),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_mail_that_was_given_up_leaves_no_answer_for_the_next_one() -> TestResult {
    let server = MailServer::start(None).await?;
    let lab = Lab::start_with(&[standalone::settings::Part::Gateway], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let words = [format!("--smtp-url={}", server.url()), "--messages-timeout-ms=700".to_owned()];
    let sender = sender(&lab, &words.each_ref().map(String::as_str), Arc::new(NoDocuments))?;
    let mut answers = Vec::new();
    for email in ["one@example.test", "slow@example.test", "refused@example.test", "two@example.test"] {
        let shopper = person(&lab, email, "en").await?;
        let outgoing = Outgoing { to: to(shopper.id), message: Message::EventChanged { event } };
        answers.push(sender.send(uuid::Uuid::now_v7(), &outgoing).await.map_err(|error| error.to_string()));
    }
    let told = answers.iter().map(|answer| answer.as_ref().err().map(String::as_str));
    let expected =
        [None, Some("the mail server did not answer in time"), Some("the mail server answered 550"), None];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    eventually("both are there", async || server.mails().len() == 2).await;
    Ok(())
}

#[test]
fn settings_that_cannot_work_are_refused_at_the_start() -> TestResult {
    for (words, told) in [
        (&["--mail-transport=smtp"][..], "SMTP_URL"),
        (&["--smtp-url=smtp://me:secret@mail.example.com"], "unencrypted"),
        (&["--smtp-url=ftp://mail.example.com"], "SMTP_URL"),
        (&["--smtp-url=smtp://127.0.0.1", "--mail-from=nobody"], "MAIL_FROM"),
        (&["--sms-provider=http"], "SMS_GATEWAY_TOKEN"),
        (&["--push-provider=http", "--push-gateway-token=a"], "PUSH_GATEWAY_URL"),
        (&["--messages-link-base=tickets.example.com"], "MESSAGES_LINK_BASE"),
        (&["--messages-max-attempts=0"], "MESSAGES_MAX_ATTEMPTS"),
        (&["--messages-timeout-ms=60000"], "MESSAGES_TIMEOUT_MS"),
    ] {
        let config = standalone::settings::Settings::from_words(words.iter().copied())?.services.messages;
        let refused = config.check().expect_err(told).to_string();
        assert!(refused.contains(told) && !refused.contains("secret"), "{refused}");
    }
    Ok(())
}
