//! Messages to people, from the job that is written with a fact to whoever reads them.

mod changes;
mod mailbox;
mod page;
mod sms;
mod smtp;

use std::sync::Arc;

use serde_json::Value;
use shared::auth::CodeKeys;
use shared::domain::{BookingId, EventId, OrderId, UserId};
use shared::messages::{Makers, Message, Outgoing, Recipient, Sender, TicketDocuments, send};
use standalone::settings::Settings;
use uuid::Uuid;

use crate::lab::{Lab, SECRET, Shopper, eventually};

type AnyError = Box<dyn std::error::Error>;

/// Writes a message by itself.
async fn write(lab: &Lab, to: Recipient, message: Message) -> Result<Uuid, AnyError> {
    let mut connection = lab.store().pool().acquire().await?;
    Ok(send(&mut connection, &Outgoing { to, message }).await?)
}

fn to(user: UserId) -> Recipient {
    Recipient::User { id: user }
}

/// Somebody with this name, address and language.
async fn person(lab: &Lab, email: &str, language: &str) -> Result<Shopper, AnyError> {
    let shopper = lab.shopper().await?;
    sqlx::query("update users set email = $2, language = $3, first_name = 'Nova' where id = $1")
        .bind(shopper.id.0)
        .bind(email)
        .bind(language)
        .execute(lab.store().pool())
        .await?;
    Ok(shopper)
}

/// A code for this person.
async fn code(
    lab: &Lab,
    user: UserId,
    (purpose, target): (&str, &str),
    minutes: i32,
) -> Result<Uuid, AnyError> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into codes (id, user_id, purpose, target, expires_at, channel, digits_hash, new_value)
         values ($1, $2, $3, $4, now() + make_interval(mins => $5),
             case when $4 like '%@%' then 'email' else 'sms' end, '',
             case when $3 <> 'password' then 'new' end)",
    )
    .bind(id)
    .bind(user.0)
    .bind(purpose)
    .bind(target)
    .bind(minutes)
    .execute(lab.store().pool())
    .await?;
    Ok(id)
}

/// An order of one place in this state.
async fn order(lab: &Lab, user: UserId, event: EventId, status: &str) -> Result<OrderId, AnyError> {
    let order = OrderId::new();
    sqlx::query(
        "insert into orders (id, user_id, status, currency, total_minor, pay_until, paid_at)
         values ($1, $2, $3, 'EUR', 6550, now() + interval '1 hour', case when $3 = 'paid' then now() end)",
    )
    .bind(order.0)
    .bind(user.0)
    .bind(status)
    .execute(lab.store().pool())
    .await?;
    sqlx::query(
        "insert into order_items (id, order_id, booking_id, event_id, seat_id, tier_name, place, price_minor, status)
         values ($1, $2, $3, $4, 1, 'One', 'Hall, row 3, seat 4', 6550, 'released')",
    )
    .bind(Uuid::now_v7())
    .bind(order.0)
    .bind(BookingId::new().0)
    .bind(event.0)
    .execute(lab.store().pool())
    .await?;
    Ok(order)
}

/// How a job stands: status, attempts, error.
async fn state(lab: &Lab, job: Uuid) -> Result<(String, i32, Option<String>), AnyError> {
    let row = sqlx::query_as("select status, attempts, error from jobs where id = $1");
    Ok(row.bind(job).fetch_one(lab.store().pool()).await?)
}

async fn until_finished(lab: &Lab) {
    eventually("all jobs are finished", async || {
        sqlx::query_scalar::<_, i64>("select count(*) from jobs where finished_at is null")
            .fetch_one(lab.store().pool())
            .await
            .is_ok_and(|left| left == 0)
    })
    .await;
}

/// As if the end of a job had not been written and Redis had lost it: it is delivered once more.
async fn deliver_again(lab: &mut Lab, job: Uuid) -> Result<(), AnyError> {
    sqlx::query("update jobs set status = 'waiting', finished_at = null where id = $1")
        .bind(job)
        .execute(lab.store().pool())
        .await?;
    lab.servers.redis.restart_empty().await?;
    until_finished(lab).await;
    assert_eq!(state(lab, job).await?.1, 2, "it was delivered twice");
    Ok(())
}

/// What a worker would send with, by these settings, with these documents.
fn sender(lab: &Lab, words: &[&str], documents: Arc<dyn TicketDocuments>) -> Result<Sender, AnyError> {
    let config = Settings::from_words(words.iter().copied())?.services.messages;
    let makers = Makers { digits: Arc::new(CodeKeys::new(&[SECRET.into()])), documents };
    Ok(Sender::new(&config, lab.store().clone(), makers)?)
}

/// What stands in the mailbox, newest first.
async fn mailbox(lab: &Lab) -> Result<Vec<Value>, AnyError> {
    let url = format!("{}/api/mailbox?limit=200", lab.system.url);
    let answer: Value = lab.http.get(url).send().await?.error_for_status()?.json().await?;
    Ok(answer["items"].as_array().cloned().unwrap_or_default())
}
