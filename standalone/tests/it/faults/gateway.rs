//! Gateways that are killed, or miss what the others have seen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use shared::auth::Role;
use standalone::settings::Part;
use tokio::sync::Notify;

use super::Mix;
use crate::lab::{
    EventPlan, Lab, PATIENCE, Shopper, Socket, TestResult, assert_invariants, eventually, free_port,
    make_event,
};

#[tokio::test]
async fn a_killed_gateway_costs_nobody_their_place() -> TestResult {
    let lab = Lab::start().await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 30, ..EventPlan::hall(8, 20) }).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let mut killed = lab.spawn_gateway(port)?;
    lab.until_ready(&url).await;
    let shoppers = lab.shoppers(50).await?;
    let there: Vec<_> = shoppers.iter().map(|shopper| shopper.at(&url)).collect();
    let jobs = mix.queue_up(&there, 0).await?;
    killed.kill();
    let survivor = lab.add(&[Part::Gateway]).await?;
    let last = shoppers[49].at(&survivor.url);
    eventually("places are unchanged", async || {
        let here = shoppers[49].status(&jobs[49]).await.unwrap_or_default();
        let new = last.status(&jobs[49]).await.unwrap_or_default();
        here["place"] == new["place"] && here["waiting"] == 50
    })
    .await;
    operator.post("/api/admin/queue/resume", json!({})).await?;
    for (shopper, job) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    survivor.stop().await;
    assert_invariants(lab.store(), mix.event).await
}

#[tokio::test]
async fn a_gateway_that_is_killed_while_it_is_asked_books_for_nobody_twice() -> TestResult {
    const SHOPPERS: usize = 200;
    let lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(10, 40)).await?;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let mut killed = lab.spawn_gateway(port)?;
    lab.until_ready(&url).await;
    let shoppers = lab.shoppers(SHOPPERS).await?;
    let (answered, enough) = (AtomicUsize::new(0), Notify::new());
    let book = async |shopper: &Shopper, url: &str| -> Result<String, reqwest::Error> {
        let path = format!("{url}/api/bookings/{event}/book");
        let request = lab.http.post(path).bearer_auth(&shopper.token).header("Idempotency-Key", "once");
        let answer = request.json(&json!({"quantity": 1})).send().await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        Ok(answer["jobId"].as_str().unwrap_or_default().to_owned())
    };
    // A little apart, so that some are answered, some are under way and some come too late.
    let booking = try_join_all(shoppers.iter().zip(0..).map(async |(shopper, at)| {
        tokio::time::sleep(Duration::from_millis(at)).await;
        let first = book(shopper, &url).await;
        if first.is_ok() && answered.fetch_add(1, Ordering::Relaxed) == SHOPPERS / 4 {
            enough.notify_one();
        }
        let is_lost = first.is_err();
        // Whoever was not answered asks elsewhere, with the same key.
        let job = if is_lost { book(shopper, &lab.system.url).await? } else { first? };
        Ok::<_, reqwest::Error>((job, is_lost))
    }));
    let (jobs, ()) = tokio::join!(booking, async {
        enough.notified().await;
        killed.kill();
    });
    let jobs = jobs?;
    assert!(jobs.iter().any(|(_, is_lost)| *is_lost), "it was killed in time");
    for (shopper, (job, _)) in shoppers.iter().zip(&jobs) {
        assert_eq!(shopper.outcome(job).await?["status"], "completed");
    }
    let won =
        "select count(*) from (select from seat_claims group by user_id having count(*) = 1) as one_each";
    assert_eq!(lab.count(won).await?, i64::try_from(SHOPPERS)?);
    assert_eq!(lab.count("select count(*) from job_outcomes").await?, i64::try_from(SHOPPERS)?);
    assert_invariants(lab.store(), event).await
}

/// Asks for a job again and again until the answer is of this type.
async fn subscribe_until(socket: &mut Socket, job: &str, wanted: &str) -> TestResult {
    let deadline = Instant::now() + PATIENCE;
    loop {
        socket.say(json!({"type": "subscribe", "jobId": job})).await?;
        let answer = loop {
            let message = socket.next().await?;
            if message["type"] == "status" || message["type"] == "error" {
                break message;
            }
        };
        if answer["type"] == wanted {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "{answer}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test]
async fn a_job_that_is_asked_for_again_while_a_store_is_away_is_followed_on() -> TestResult {
    let mut lab = Lab::start().await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let shopper = lab.shopper().await?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    // Redis loses it, and a gateway that starts then cannot know of it.
    let queue = lab.system.queue.clone();
    let mut redis = queue.connection();
    let lost: u64 = redis::cmd("DEL").arg(queue.keys().wait(event)).query_async(&mut redis).await?;
    assert_eq!(lost, 1);
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    let other = lab.add(&[Part::Gateway]).await?;
    let mut socket = Socket::open(&shopper.at(&other.url)).await?;
    // Without the feed nobody is looked up, so that it is followed; with it PostgreSQL is asked, which is away.
    lab.servers.postgres.kill();
    for (reading, answer) in [("-xread", "status"), ("+xread", "error")] {
        let () = redis::cmd("ACL").arg("SETUSER").arg("default").arg(reading).query_async(&mut redis).await?;
        subscribe_until(&mut socket, &job, answer).await?;
    }
    lab.servers.postgres.restart().await?;
    assert_eq!(socket.until("reserved").await?["jobId"], json!(job));
    drop(socket);
    other.stop().await;
    assert_invariants(lab.store(), event).await
}
