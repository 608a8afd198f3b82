//! Connections: half-sent requests, and the end of a gateway.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::lab::{EventPlan, Lab, TestResult, eventually, make_event};

fn address(lab: &Lab) -> String {
    lab.system.url.trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn a_header_that_never_ends_is_cut_off() -> TestResult {
    let lab = Lab::start().await?;
    let mut stream = TcpStream::connect(address(&lab)).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: usher\r\nX-Slow: ").await?;
    let (started, mut answer) = (Instant::now(), Vec::new());
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await?;
    assert!(started.elapsed() > Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(!String::from_utf8_lossy(&answer).contains("200"), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_stopping_gateway_finishes_the_requests_at_hand() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let shopper = lab.shopper().await?;
    let stop = lab.system.shutdown.clone();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(300)).await;
        TcpStream::connect(address(&lab)).await.is_err()
    };
    // It waits up to two seconds for its outcome, which does not come.
    let select = shopper.call(reqwest::Method::PATCH, "/api/seats/select", Some(json!({"seatId": seats[0]})));
    let (answer, is_closed) = tokio::join!(select, stopping);
    assert_eq!(answer?.0, StatusCode::ACCEPTED);
    assert!(is_closed, "nobody new is taken in");
    Ok(())
}

#[tokio::test]
async fn a_stopping_gateway_says_so_and_serves_until_a_balancer_has_noticed() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &["--shutdown-drain-ms=4000"]).await?;
    let url = |path: &str| format!("{}{path}", lab.system.url);
    let stopped = Instant::now();
    lab.system.shutdown.cancel();
    // A new connection each time.
    let status = async |path: &str| reqwest::get(url(path)).await.map(|answer| answer.status());
    assert_eq!(status("/ready").await?, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status("/api/events").await?, StatusCode::OK);
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    eventually("the port is closed", async || TcpStream::connect(address(&lab)).await.is_err()).await;
    assert!(stopped.elapsed() >= Duration::from_secs(4), "{:?}", stopped.elapsed());
    Ok(())
}
