//! A Redis Cluster: what shoppers and operators go through on it, and a slot that moves from one node to another while its
//! lane is being worked off.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::EventId;
use shared::queue::Partition;
use shared::store::NewNamedJob;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::run_jobs::{Backoff, Policy};

use super::jobs::{Office, QUEUE, job, policy, start_by, stopped, until_finished};
use super::{decided, queue_up};
use crate::journeys::emptied::empty_a_named_queue;
use crate::lab::{
    EventPlan, Lab, ProviderBook, Shopper, TestResult, assert_invariants, eventually, make_event,
};

type AnyError = Box<dyn std::error::Error>;

#[tokio::test]
async fn lanes_of_a_cluster_keep_their_order_while_their_slot_moves() -> TestResult {
    let lab = Lab::start_on_cluster().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(30, 20)).await?;
    let shoppers = lab.shoppers(600).await?;
    let cluster = lab.cluster.as_ref().ok_or("a cluster")?;
    let key = lab.system.queue.keys().partition(Partition::of(event));
    let moving = async {
        for wanted in [50, 200, 350] {
            eventually("some are decided", async || decided(&lab, event).await.is_ok_and(|now| now > wanted))
                .await;
            cluster.move_slot_of(&key).await?;
        }
        Ok(())
    };
    let (jobs, ()) = tokio::try_join!(queue_up(&shoppers, event), moving)?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(decided(&lab, event).await?, 600);
    assert_invariants(lab.store(), event).await
}

/// Waits until this is somebody's place.
async fn until_place(shopper: &Shopper, job: &str, place: u64) {
    eventually(&format!("somebody is at place {place}"), async || {
        shopper.status(job).await.is_ok_and(|status| status["place"] == place)
    })
    .await;
}

/// Waits until the booking queue has counted so many jobs: those that wait, were completed, and failed.
async fn until_counted(operator: &Shopper, counts: [u64; 3]) {
    eventually(&format!("{counts:?} are counted"), async || {
        let (_, stats) = operator.get("/api/admin/queue/stats").await.unwrap_or_default();
        ["waiting", "completed", "failed"].map(|name| stats[name].as_u64()) == counts.map(Some)
    })
    .await;
}

/// What was decided minute by minute: completed, and failed.
async fn until_told(operator: &Shopper, of: &str, counts: [u64; 2]) {
    eventually(&format!("the history of {of} tells {counts:?}"), async || {
        let (_, told) = operator.get(&format!("/api/admin/queue/history?{of}")).await.unwrap_or_default();
        let minutes = told["items"].as_array().cloned().unwrap_or_default();
        let sum = |name: &str| minutes.iter().filter_map(|minute| minute[name].as_u64()).sum::<u64>();
        [sum("completed"), sum("failed")] == counts
    })
    .await;
}

/// Seven jobs of six people wait for three seats: one is one too many for one person, one leaves, two are taken out by an
/// operator. The others are decided in their order, and who came last gets what is given back. The shoppers, and the
/// jobs of the four who stayed.
async fn wait_and_be_decided(
    lab: &Lab,
    operator: &Shopper,
    event: EventId,
) -> Result<(Vec<Shopper>, Vec<String>), AnyError> {
    let shoppers = lab.shoppers(6).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let first = shoppers[0].book(event, json!({"quantity": 1})).await?;
    let second = shoppers[0].book(event, json!({"quantity": 2})).await?;
    let path = format!("/api/bookings/{event}/book");
    let (status, refused) = shoppers[0].post(&path, json!({"quantity": 3})).await?;
    assert_eq!((status, &refused["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_jobs")));
    let mut jobs = Vec::new();
    for shopper in &shoppers[1..] {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    until_place(&shoppers[5], &jobs[4], 7).await;

    let leave = format!("/api/bookings/queue/{second}");
    let (status, left) = shoppers[0].call(Method::DELETE, &leave, None).await?;
    assert_eq!((status, &left["status"], &left["code"]), (StatusCode::OK, &json!("failed"), &json!("left")));
    for (nth, (shopper, job)) in (0..).zip(shoppers[1..].iter().zip(&jobs)) {
        until_place(shopper, job, nth + 2).await;
    }
    until_place(&shoppers[0], &first, 1).await;
    let page = lab.system.queue.waiting_after(event, 0, 100, false).await?;
    let numbers: Vec<u64> = page.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers.len(), 6);
    let body = json!({"eventId": event, "number": numbers[1]});
    assert_eq!(operator.post("/api/admin/queue/remove", body).await?.0, StatusCode::NO_CONTENT);
    assert_eq!(shoppers[1].outcome(&jobs[0]).await?["code"], "removed");
    until_place(&shoppers[5], &jobs[4], 5).await;
    let (_, drained) = operator.post("/api/admin/queue/drain", json!({"eventId": event, "limit": 1})).await?;
    assert_eq!(drained, json!({"removed": 1, "left": 4}));
    assert_eq!(shoppers[0].outcome(&first).await?["code"], "removed");
    until_place(&shoppers[5], &jobs[4], 4).await;
    until_counted(operator, [4, 0, 3]).await;

    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    let stayed = jobs.split_off(1);
    for (shopper, job) in shoppers[2..5].iter().zip(&stayed) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    assert_eq!(shoppers[5].outcome(&stayed[3]).await?["code"], "sold_out");
    until_counted(operator, [0, 3, 4]).await;
    until_told(operator, &format!("eventId={event}"), [3, 1]).await;
    Ok((shoppers, stayed))
}

/// What one gives back is had by one who was refused, and whose job an operator has tried once more.
async fn try_once_more(
    operator: &Shopper,
    event: EventId,
    (winner, job): (&Shopper, &str),
    loser: &Shopper,
) -> TestResult {
    let cancel = json!({"bookingId": winner.outcome(job).await?["result"]["bookingId"]});
    assert_eq!(winner.call(Method::PATCH, "/api/bookings/cancel", Some(cancel)).await?.0, StatusCode::OK);
    let (_, details) = operator.get(&format!("/api/admin/queue/details?eventId={event}")).await?;
    let [failed] = details["lanes"][0]["failed"].as_array().ok_or("failed jobs")?.as_slice() else {
        return Err(format!("one was refused: {details}").into());
    };
    let body = json!({"eventId": event, "number": failed["number"]});
    let (_, retried) = operator.post("/api/admin/queue/retry", body).await?;
    let once_more = &retried["items"][0];
    assert_eq!(once_more["retryOf"], failed["number"], "{retried}");
    let won = loser.outcome(once_more["jobId"].as_str().ok_or("a new job")?).await?;
    assert_eq!(won["status"], "completed", "{won}");
    Ok(())
}

/// What happened in the event's partition is told without loss, in its order.
async fn assert_followed(operator: &Shopper, event: EventId) -> TestResult {
    let path = format!("/api/admin/queue/events?eventId={event}&limit=7");
    let (mut items, mut after): (Vec<Value>, String) = (Vec::new(), String::new());
    loop {
        let (_, page) = operator.get(&format!("{path}{after}")).await?;
        assert_eq!(page["isGap"], false, "{page}");
        let some = page["items"].as_array().ok_or("items")?.clone();
        if some.is_empty() {
            break;
        }
        items.extend(some);
        after = format!("&after={}", page["next"].as_str().ok_or("where to go on")?);
    }
    let seqs: Vec<u64> = items.iter().filter_map(|item| item["seq"].as_u64()).collect();
    assert_eq!(seqs.len(), items.len());
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    let of = |kind: &str| items.iter().filter(|item| item["kind"] == kind).count();
    assert_eq!(of("control"), 2, "paused and resumed: {items:?}");
    assert!(of("add") >= 2 && of("claim") >= 2, "{items:?}");
    assert!(of("done") >= 5, "one left, two were removed, and two batches at least were decided: {items:?}");
    Ok(())
}

/// A paid order becomes a ticket by a job that is written with the payment.
async fn pay(lab: &Lab, operator: &Shopper, shopper: &Shopper) -> TestResult {
    let (status, order) = shopper.post("/api/cart/checkout", json!({})).await?;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let page = order["redirectUrl"].as_str().ok_or("a page")?;
    assert_eq!(ProviderBook::of(lab)?.choose(page, "sbp").await?, StatusCode::SEE_OTHER);
    let path = format!("/api/orders/{}", order["orderId"].as_str().ok_or("an order")?);
    eventually("the order is fulfilled", async || {
        shopper.get(&path).await.is_ok_and(|(_, order)| order["status"] == "fulfilled")
    })
    .await;
    assert_eq!(shopper.get("/api/tickets").await?.1["total"], 1);
    eventually("one job has issued it", async || {
        let jobs = operator.get("/api/admin/queue/jobs?queue=tickets&status=completed").await;
        jobs.is_ok_and(|(_, jobs)| jobs["items"].as_array().is_some_and(|jobs| jobs.len() == 1))
    })
    .await;
    eventually("all facts are on the event stream", async || {
        operator.get("/api/admin/stream").await.is_ok_and(|(_, told)| told["outbox"]["unsent"] == 0)
    })
    .await;
    Ok(())
}

/// A job of the named queue as operators see it.
async fn shown(operator: &Shopper, status: &str, id: Uuid) -> Value {
    let path = format!("/api/admin/queue/jobs?queue={QUEUE}&status={status}");
    let (_, jobs) = operator.get(&path).await.unwrap_or_default();
    let items = jobs["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().find(|job| job["id"] == json!(id)).unwrap_or_default()
}

/// Jobs that fail are tried again after twice as long each time, those that take too long have failed, and a failed one
/// is tried as a new one; the worker stops when what it has at hand is done.
async fn run_jobs(lab: &Lab, operator: &Shopper) -> TestResult {
    const FIRST: Duration = Duration::from_millis(300);
    let (office, stop) = (Arc::new(Office::default()), CancellationToken::new());
    let backoff = Backoff::Exponential { first: FIRST, longest: FIRST * 10 };
    let worker = start_by(lab, &office, Policy { backoff, ..policy() }, &stop)?;
    let add = async |word: &str| lab.store().add_job(&job(word)).await;
    // In a lane of its own, so that it waits for nobody at hand.
    let hopeless = lab.store().add_job(&NewNamedJob { lane: 1, ..job("hopeless") }).await?;
    let (slow, fatal, plain) = (add("slow").await?, add("fatal").await?, add("plain").await?);
    until_finished(lab).await;
    for (id, attempts, error) in
        [(hopeless, 3, "never"), (slow, 3, "longer than 1s"), (fatal, 1, "no such address")]
    {
        let job = shown(operator, "failed", id).await;
        assert_eq!(job["attempts"], attempts, "{job}");
        assert!(job["error"].as_str().is_some_and(|told| told.contains(error)), "{job}");
    }
    assert_eq!(shown(operator, "completed", plain).await["attempts"], 1);
    let begun = office.begun(hopeless);
    assert_eq!(begun.len(), 3);
    assert!(begun[1] - begun[0] >= FIRST && begun[2] - begun[1] >= FIRST * 2, "{begun:?}");

    let body = json!({"queue": QUEUE, "id": fatal});
    let (_, retried) = operator.post("/api/admin/queue/jobs/retry", body).await?;
    assert_eq!(retried["items"][0]["retryOf"], json!(fatal), "{retried}");
    let once_more: Uuid = retried["items"][0]["id"].as_str().ok_or("a new job")?.parse()?;
    until_finished(lab).await;
    assert_eq!((office.tries(once_more), office.tries(fatal)), (1, 1));
    assert_eq!(shown(operator, "failed", once_more).await["attempts"], 1);

    let at_hand = add("pause").await?;
    eventually("it is at hand", async || office.tries(at_hand) == 1).await;
    let took = stopped(&stop, worker).await?;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(shown(operator, "completed", at_hand).await["attempts"], 1, "it was not left behind");

    let (later, stop) = (add("plain").await?, CancellationToken::new());
    let patient = Policy { timeout: Duration::from_mins(1), ..policy() };
    let worker = start_by(lab, &office, patient, &stop)?;
    let long = add("long").await?;
    eventually("how far it has come is shown", async || {
        shown(operator, "waiting", long).await["progress"] == 40
    })
    .await;
    office.goes_on.notify_one();
    eventually("it is tried again", async || office.tries(long) == 2).await;
    office.goes_on.notify_one();
    until_finished(lab).await;
    for (id, attempts) in [(later, 1), (long, 2)] {
        assert_eq!(shown(operator, "completed", id).await["attempts"], attempts);
    }
    until_told(operator, &format!("queue={QUEUE}"), [4, 4]).await;
    stopped(&stop, worker).await?;
    let removed = add("plain").await?;
    let body = json!({"queue": QUEUE, "id": removed});
    let (_, answer) = operator.post("/api/admin/queue/jobs/remove", body).await?;
    assert_eq!(answer, json!({"removed": 1}));
    assert_eq!(shown(operator, "removed", removed).await["attempts"], 0);
    Ok(())
}

#[tokio::test]
async fn what_shoppers_and_operators_go_through_is_the_same_on_a_cluster() -> TestResult {
    let lab = Lab::start_on_cluster_with(&["--queue-max-jobs-per-shopper=2"]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 3)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let (shoppers, jobs) = wait_and_be_decided(&lab, &operator, event).await?;
    try_once_more(&operator, event, (&shoppers[2], jobs[0].as_str()), &shoppers[5]).await?;
    assert_followed(&operator, event).await?;
    pay(&lab, &operator, &shoppers[3]).await?;
    run_jobs(&lab, &operator).await?;
    empty_a_named_queue(&lab, &operator).await?;
    assert_invariants(lab.store(), event).await
}
