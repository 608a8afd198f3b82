//! The three programs, each a process of its own, as containers run them.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use reqwest::StatusCode;
use standalone::settings::Part;

use super::TestResult;
use crate::lab::{EventPlan, Lab, UsherProcess, assert_invariants, eventually, free_port, make_event};

/// SIGTERM, and its end.
async fn stop(mut program: UsherProcess) -> TestResult {
    kill(program.pid(), Signal::SIGTERM)?;
    eventually("it ends", async || program.ended().is_ok_and(|status| status.is_some())).await;
    let status = program.ended()?.ok_or("it has ended")?;
    assert!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_a_worker_and_a_sweeper_sell_and_release() -> TestResult {
    // In this process a gateway only, which decides and releases nothing, and which nobody asks.
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let plan = EventPlan { hold_seconds: 4, ..EventPlan::hall(1, 1) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let port = free_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let gateway = lab.spawn_program("gateway", port)?;
    lab.until_ready(&url).await;
    let [first, second]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let (first, second) = (first.at(&url), second.at(&url));

    let job = first.book_seats(event, &seats).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(first.status(&job).await?["status"], "queued", "nobody decides it");

    // The sweeper tells workers what is paused, so it comes with them.
    let (worker, sweeper) = (lab.spawn_program("worker", port)?, lab.spawn_program("sweeper", port)?);
    assert_eq!(first.outcome(&job).await?["status"], "completed");
    let (status, _) =
        second.post(&format!("/api/bookings/{event}/book"), serde_json::json!({"seatIds": seats})).await?;
    assert_eq!(status, StatusCode::CONFLICT, "the seat is gone");
    eventually("the sweeper frees what ran out", async || {
        let seats = second.get(&format!("/api/seats?event_id={event}")).await;
        seats.is_ok_and(|(_, seats)| seats["items"][0]["status"] == "available")
    })
    .await;
    let job = second.book_seats(event, &seats).await?;
    assert_eq!(second.outcome(&job).await?["status"], "completed");
    for program in [gateway, worker, sweeper] {
        stop(program).await?;
    }
    assert_invariants(lab.store(), event).await
}
