//! SMS about bookings and orders, to whoever has switched them on.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::{EventId, Money};
use shared::messages::Message;

use super::{mailbox, order, person, to, until_finished, write};
use crate::lab::{EventPlan, Lab, Shopper, TestResult, eventually, make_event};

type AnyError = Box<dyn std::error::Error>;

/// Somebody with this phone number, who has switched SMS on or not.
async fn with_phone(
    lab: &Lab,
    (name, language): (&str, &str),
    phone: Option<&str>,
    is_on: bool,
) -> Result<Shopper, AnyError> {
    let shopper = person(lab, &format!("{name}@example.test"), language).await?;
    sqlx::query("update users set phone = $2 where id = $1")
        .bind(shopper.id.0)
        .bind(phone)
        .execute(lab.store().pool())
        .await?;
    switch(&shopper, is_on).await?;
    Ok(shopper)
}

async fn switch(shopper: &Shopper, is_on: bool) -> TestResult {
    let edit = json!({"smsUpdates": is_on});
    let (status, profile) = shopper.call(Method::PATCH, "/api/account", Some(edit)).await?;
    assert_eq!((status, &profile["smsUpdates"]), (StatusCode::OK, &json!(is_on)), "{profile}");
    Ok(())
}

/// Messages that went by a channel: to whom, kind, text; in this order.
async fn sent_by(lab: &Lab, channel: &str) -> Result<Vec<(String, String, String)>, AnyError> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let of = mailbox(lab).await?.into_iter().filter(|one| one["channel"] == channel);
    let mut told: Vec<_> = of.map(|one| (text(&one, "to"), text(&one, "kind"), text(&one, "body"))).collect();
    told.sort();
    Ok(told)
}

/// What else may happen to somebody's orders and events.
async fn tell_the_rest(lab: &Lab, shopper: &Shopper, event: EventId, cancelled: EventId) -> TestResult {
    let paid = order(lab, shopper.id, event, "paid").await?;
    let expired = order(lab, shopper.id, event, "expired").await?;
    let amount = Money { amount: 6_550, currency: "EUR".to_owned() };
    for message in [
        Message::OrderPaid { order: paid },
        Message::OrderExpired { order: expired },
        Message::EventCancelled { event: cancelled },
        Message::EventChanged { event },
        Message::Refunded { order: paid, amount },
    ] {
        write(lab, to(shopper.id), message).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_matters_goes_to_the_phone_of_whoever_has_switched_it_on_and_to_no_other() -> TestResult {
    let lab = Lab::start_with(&[], &["--mailbox-open=true", "--notify-reserved=true"]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    let (cancelled, ..) = make_event(lab.store(), &EventPlan::hall(1, 6)).await?;
    sqlx::query("update events set status = 'cancelled' where id = $1")
        .bind(cancelled.0)
        .execute(lab.store().pool())
        .await?;
    let people = [
        with_phone(&lab, ("en", "en"), Some("+380501112201"), true).await?,
        with_phone(&lab, ("uk", "uk"), Some("+380501112202"), true).await?,
        with_phone(&lab, ("ru", "ru"), Some("+380501112203"), true).await?,
        with_phone(&lab, ("off", "en"), Some("+380501112204"), false).await?,
        with_phone(&lab, ("phoneless", "en"), None, true).await?,
    ];
    for shopper in &people {
        let job = shopper.book(event, json!({"quantity": 1})).await?;
        assert_eq!(shopper.outcome(&job).await?["status"], "completed");
        tell_the_rest(&lab, shopper, event, cancelled).await?;
    }
    eventually("all reservations are told", async || {
        let mails = sent_by(&lab, "mail").await.unwrap_or_default();
        mails.iter().filter(|(_, kind, _)| kind == "seats_reserved").count() == people.len()
    })
    .await;
    until_finished(&lab).await;

    let told = sent_by(&lab, "sms").await?;
    let kinds = ["event_cancelled", "order_expired", "order_paid", "seats_reserved"];
    let phones = ["+380501112201", "+380501112202", "+380501112203"];
    let expected: Vec<(&str, &str)> =
        phones.iter().flat_map(|phone| kinds.map(|kind| (*phone, kind))).collect();
    let goes: Vec<(&str, &str)> =
        told.iter().map(|(phone, kind, _)| (phone.as_str(), kind.as_str())).collect();
    assert_eq!(goes, expected);
    for (_, kind, body) in &told {
        assert!(body.contains("Test event") && body.chars().count() <= 160, "{kind}: {body}");
    }
    let cancellations = [&told[0].2, &told[4].2, &told[8].2];
    assert_eq!(
        cancellations,
        [
            "Cancelled: Test event. Your money comes back by itself.",
            "Скасовано: Test event. Гроші повернуться самі.",
            "Отменено: Test event. Деньги вернутся сами.",
        ]
    );

    switch(&people[0], false).await?;
    let paid = order(&lab, people[0].id, event, "paid").await?;
    write(&lab, to(people[0].id), Message::OrderPaid { order: paid }).await?;
    until_finished(&lab).await;
    assert_eq!(sent_by(&lab, "sms").await?, told, "not a word more by SMS");
    Ok(())
}
