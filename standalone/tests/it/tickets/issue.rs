//! Tickets are issued once for each place that is kept.

use serde_json::{Value, json};
use shared::domain::OrderId;
use shared::store::{Issued, NewNamedJob, cancel_tickets};
use shared::tickets::{IssueTickets, QUEUE, TicketNumber};

use super::{Fallible, tickets};
use crate::lab::{EventPlan, Lab, TestResult, eventually, make_event, make_order};

async fn status(lab: &Lab, order: OrderId) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("select status from orders where id = $1")
        .bind(order.0)
        .fetch_one(lab.store().pool())
        .await
}

/// Numbers of the tickets of an order.
async fn numbers(lab: &Lab, order: OrderId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select t.number from tickets t join order_items i on i.id = t.order_item_id where i.order_id = $1",
    )
    .bind(order.0)
    .fetch_all(lab.store().pool())
    .await
}

/// What is told of an order: messages, and facts with their tickets.
async fn told(lab: &Lab, order: OrderId) -> Fallible<(usize, Vec<usize>)> {
    let messages: Vec<String> = sqlx::query_scalar("select payload::text from jobs where queue = 'messages'")
        .fetch_all(lab.store().pool())
        .await?;
    let wanted = json!({"kind": "order_paid", "order": order});
    let messages = messages.iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let messages = messages.filter(|message| message["message"] == wanted).count();
    let facts: Vec<String> =
        sqlx::query_scalar("select facts::text from outbox where topic = 'ticket.issued'")
            .fetch_all(lab.store().pool())
            .await?;
    let facts = facts.iter().filter_map(|text| serde_json::from_str::<Vec<Value>>(text).ok()).flatten();
    let facts = facts.filter(|fact| fact["orderId"] == json!(order));
    Ok((messages, facts.map(|fact| fact["ticketIds"].as_array().map_or(0, Vec::len)).collect()))
}

#[tokio::test]
async fn a_paid_order_gets_a_ticket_for_each_place_that_is_kept_and_is_told_once() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    let owner = lab.shopper().await?;
    let (order, items) = make_order(lab.store(), owner.id, (event, &seats[..3]), "paid").await?;
    sqlx::query("update order_items set status = 'refunded' where id = $1")
        .bind(items[1].0)
        .execute(lab.store().pool())
        .await?;
    let job = NewNamedJob { queue: QUEUE, lane: 0, payload: IssueTickets { order }, run_at: None };
    lab.store().add_job(&job).await?;
    lab.store().add_job(&job).await?;
    eventually("both jobs are done", async || {
        sqlx::query_scalar::<_, i64>(
            "select count(*) from jobs where queue = 'tickets' and status = 'completed'",
        )
        .fetch_one(lab.store().pool())
        .await
        .is_ok_and(|done| done == 2)
    })
    .await;
    assert_eq!(status(&lab, order).await?, "fulfilled");
    let numbers = numbers(&lab, order).await?;
    assert_eq!(numbers.len(), 2);
    assert!(numbers.iter().all(|number| number.parse::<TicketNumber>().is_ok()), "{numbers:?}");
    assert_eq!(told(&lab, order).await?, (1, vec![2]));
    Ok(())
}

#[tokio::test]
async fn issuing_an_order_many_times_at_once_has_one_effect() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    let owner = lab.shopper().await?;
    let (order, _) = make_order(lab.store(), owner.id, (event, &seats), "paid").await?;
    let issuing = (0..8).map(|_| lab.store().issue_tickets(order));
    let mut new = Vec::new();
    for issued in futures_util::future::join_all(issuing).await {
        new.push(issued?);
    }
    assert_eq!(new.iter().filter(|issued| **issued == Issued::New(5)).count(), 1, "{new:?}");
    assert_eq!(new.iter().filter(|issued| **issued == Issued::New(0)).count(), 7, "{new:?}");
    assert_eq!(numbers(&lab, order).await?.len(), 5);
    assert_eq!(told(&lab, order).await?, (1, vec![5]));
    Ok(())
}

#[tokio::test]
async fn what_is_kept_of_a_partly_refunded_order_has_its_ticket_and_what_was_never_paid_has_none()
-> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 5)).await?;
    let owner = lab.shopper().await?;
    let make = async |nth: usize, status: &str| {
        make_order(lab.store(), owner.id, (event, &seats[nth..=nth]), status).await.map(|(order, _)| order)
    };
    let (partly, refunded) = (make(0, "partially_refunded").await?, make(1, "refunded").await?);
    let (open, expired) = (make(2, "awaiting_payment").await?, make(3, "expired").await?);
    let issued = async |order| lab.store().issue_tickets(order).await;
    assert_eq!(issued(partly).await?, Issued::New(1));
    assert_eq!(issued(partly).await?, Issued::New(0));
    assert_eq!(told(&lab, partly).await?, (1, vec![1]));
    assert_eq!(status(&lab, partly).await?, "partially_refunded");
    assert_eq!(issued(refunded).await?, Issued::New(0));
    assert_eq!((issued(open).await?, issued(expired).await?), (Issued::NotPaid, Issued::NotPaid));
    assert_eq!(issued(OrderId::new()).await?, Issued::NoSuchOrder);
    let (all_back, items) = make_order(lab.store(), owner.id, (event, &seats[4..]), "paid").await?;
    sqlx::query("update order_items set status = 'refunding' where id = $1")
        .bind(items[0].0)
        .execute(lab.store().pool())
        .await?;
    assert_eq!(issued(all_back).await?, Issued::New(0));
    assert_eq!(status(&lab, all_back).await?, "paid", "there is nothing to hand out");
    assert_eq!(told(&lab, all_back).await?, (0, vec![]));
    Ok(())
}

#[tokio::test]
async fn the_documents_of_an_order_are_a_page_for_each_ticket_that_is_good() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(6, 10)).await?;
    let owner = lab.shopper().await?;
    let (order, items) = make_order(lab.store(), owner.id, (event, &seats), "paid").await?;
    let tickets = tickets(&lab)?;
    assert!(tickets.pdfs(order).await?.is_empty(), "nothing is issued yet");
    lab.store().issue_tickets(order).await?;
    let mut connection = lab.store().pool().acquire().await?;
    assert_eq!(cancel_tickets(&mut connection, &items[..1]).await?.len(), 1);
    assert!(cancel_tickets(&mut connection, &items[..1]).await?.is_empty(), "once");
    let files = tickets.pdfs(order).await?;
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["tickets.pdf", "tickets-2.pdf"]);
    assert_eq!(files.iter().map(|(_, pdf)| super::documents::pages(pdf)).collect::<Vec<_>>(), [50, 9]);
    Ok(())
}
