//! Gateways that are killed, or miss what the others have seen.

use std::time::{Duration, Instant};

use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;

use super::Mix;
use crate::lab::{EventPlan, Lab, PATIENCE, Socket, TestResult, assert_invariants, eventually, make_event};

#[tokio::test]
async fn a_killed_gateway_costs_nobody_their_place() -> TestResult {
    let lab = Lab::start().await?;
    let mix = Mix::make(&lab, &EventPlan { standing: 30, ..EventPlan::hall(8, 20) }).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let mut killed = lab.spawn_gateway(port)?;
    eventually("the other gateway answers", async || {
        lab.http.get(format!("{url}/ready")).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
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
