//! Connections: half-sent requests, readers that do not read, too many of one address, and the end of a gateway.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use shared::auth::Role;
use standalone::settings::Part;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

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
async fn a_body_that_never_ends_is_answered_with_a_problem() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let shopper = lab.shopper().await?;
    for path in [format!("/api/bookings/{event}/book"), "/api/bookings".to_owned()] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{",
            shopper.token
        );
        let mut stream = TcpStream::connect(address(&lab)).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(answer.starts_with("http/1.1 503"), "{answer}");
        for part in ["content-type: application/problem+json", "retry-after: ", "\"code\":\"timeout\""] {
            assert!(answer.contains(part), "{part} is missing in {answer}");
        }
    }
    Ok(())
}

/// A connection from this address of the machine, which takes little in unless it is read.
async fn connect_from(lab: &Lab, from: [u8; 4]) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    socket.bind((from, 0).into())?;
    socket.connect(address(lab).parse().map_err(std::io::Error::other)?).await
}

/// A socket by hand: unlike a request it stays open when nothing is said.
async fn open_socket(lab: &Lab, from: [u8; 4]) -> std::io::Result<TcpStream> {
    let mut stream = connect_from(lab, from).await?;
    let head = "GET /ws HTTP/1.1\r\nHost: usher\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await?;
    let is_open = answer[..length].starts_with(b"HTTP/1.1 101");
    if is_open { Ok(stream) } else { Err(std::io::ErrorKind::ConnectionRefused.into()) }
}

#[tokio::test]
async fn an_address_holds_so_many_connections_and_a_trusted_proxy_any_number() -> TestResult {
    let words = ["--max-connections-per-ip=3", "--trusted-proxies=127.0.0.4"];
    let lab = Lab::start_with(&[Part::Gateway], &words).await?;
    let (greedy, other, proxy) = ([127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 4]);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(open_socket(&lab, greedy).await?);
    }
    assert!(open_socket(&lab, greedy).await.is_err(), "a fourth one is closed");
    assert!(open_socket(&lab, other).await.is_ok(), "nobody else is shut out by it");
    let mut brought = Vec::new();
    for _ in 0..6 {
        brought.push(open_socket(&lab, proxy).await?);
    }
    drop(held.pop());
    eventually("what is given back is free", async || open_socket(&lab, greedy).await.is_ok()).await;
    let figures = lab.http.get(format!("{}/metrics", lab.system.url)).send().await?.text().await?;
    assert!(figures.contains("usher_connections_refused_total"), "{figures}");
    Ok(())
}

#[tokio::test]
async fn a_reader_that_takes_nothing_in_is_cut_off() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &["--write-timeout-ms=500"]).await?;
    let mut reader = connect_from(&lab, [127, 0, 0, 2]).await?;
    let mut idler = connect_from(&lab, [127, 0, 0, 3]).await?;
    let started = Instant::now();
    // More than fits into all buffers in between.
    let requests = "GET /api/openapi.json HTTP/1.1\r\nHost: usher\r\n\r\n".repeat(60);
    reader.write_all(requests.as_bytes()).await?;
    eventually("it is cut off", async || reader.take_error().is_ok_and(|error| error.is_some())).await;
    // A head that does not come would be cut off later than this.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    idler.write_all(b"GET /health HTTP/1.1\r\nHost: usher\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    idler.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "who is sent nothing is late with nothing: {answer}");
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
