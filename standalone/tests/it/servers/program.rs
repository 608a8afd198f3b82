//! The program that `make run` becomes: on private servers, with demo data, until Ctrl-C.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use serde_json::{Value, json};
use shared::domain::{EventId, UserId};
use tokio::io::AsyncWriteExt as _;

use super::{TestResult, eventually, open_dir, processes_of, told_location};
use crate::lab::{Shopper, UsherProcess};

/// The first start makes a cluster and loads a stadium, in a debug build beside other tests.
const START_LIMIT: Duration = Duration::from_mins(3);

const STOP_LIMIT: Duration = Duration::from_mins(1);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts it and waits until it says where it is open; the address, and all that it has told.
async fn start(
    data_dir: &Path,
    told: &Path,
) -> Result<(UsherProcess, String, String), Box<dyn std::error::Error>> {
    let mut usher = UsherProcess::spawn_private(data_dir, told)?;
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let text = fs::read_to_string(told)?;
        let address = text.lines().find_map(|line| {
            line.strip_prefix("usher: Usher is open:")?.split_whitespace().next()?.strip_suffix("/concerts")
        });
        // The last line of the greeting, so that all of it is there.
        if let Some(address) = address
            && text.contains("/mailbox\n")
        {
            let address = address.to_owned();
            return Ok((usher, address, text));
        }
        if let Some(status) = usher.ended()? {
            return Err(format!("it ended while starting ({status}):\n{text}").into());
        }
        if Instant::now() > deadline {
            return Err(format!("it is not open after {START_LIMIT:?}:\n{text}").into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Ctrl-C, which reaches everything that was started in the group of the program, and its end.
async fn stop(mut usher: UsherProcess, told: &Path) -> TestResult {
    killpg(usher.pid(), Signal::SIGINT)?;
    let deadline = Instant::now() + STOP_LIMIT;
    loop {
        if let Some(status) = usher.ended()? {
            let text = fs::read_to_string(told)?;
            assert!(status.success(), "{status}:\n{text}");
            assert!(text.contains("usher: everything has stopped\n"), "{text}");
            return Ok(());
        }
        assert!(Instant::now() < deadline, "it does not end:\n{}", fs::read_to_string(told)?);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Logs in with the name and the password that the greeting tells.
async fn log_in(url: &str) -> Result<Shopper, Box<dyn std::error::Error>> {
    let http = reqwest::Client::new();
    let body = json!({"login": "shopper@usher.test", "password": "usher-demo"});
    let answer = http.post(format!("{url}/api/auth/login")).json(&body).send().await?;
    let session: Value = answer.error_for_status()?.json().await?;
    let token = session["accessToken"].as_str().ok_or("a token")?.to_owned();
    let id = UserId(session["user"]["userId"].as_i64().ok_or("an id")?);
    Ok(Shopper { id, token, url: url.to_owned(), http })
}

async fn bookings(shopper: &Shopper) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let (status, answer) = shopper.get("/api/bookings").await?;
    assert!(status.is_success(), "{status}: {answer}");
    let items = answer["items"].as_array().ok_or("bookings")?;
    Ok(items.iter().map(|booking| booking["id"].clone()).collect())
}

/// A stadium, a theatre and a club without seats, each with artists and a date to come.
async fn assert_shows(shopper: &Shopper, events: &[Value]) -> TestResult {
    let (mut sizes, mut clubs) = (Vec::new(), 0);
    for event in events {
        assert!(event["artists"].as_array().is_some_and(|artists| !artists.is_empty()), "{event}");
        let starts: chrono::DateTime<chrono::Utc> = event["startsAt"].as_str().ok_or("a date")?.parse()?;
        assert!(starts > chrono::Utc::now(), "{event}");
        sizes.push(event["totalSeats"].as_u64().ok_or("a size")?);
        let (_, seats) = shopper.get(&format!("/api/seats?event_id={}", event["id"])).await?;
        clubs += u32::from(seats["items"] == json!([]));
    }
    assert!(
        sizes.contains(&100_000) && sizes.contains(&500) && clubs > 0,
        "{sizes:?}, {clubs} without seats"
    );
    Ok(())
}

#[tokio::test]
async fn the_program_sells_demo_seats_stops_cleanly_and_finds_its_data_again() -> TestResult {
    let dir = open_dir()?;
    let (data_dir, told) = (dir.path().join("data"), dir.path().join("told"));
    let (usher, url, greeting) = start(&data_dir, &told).await?;
    assert!(greeting.contains("demo data is loaded"), "{greeting}");
    assert!(greeting.contains("password usher-demo"), "{greeting}");
    assert_eq!(told_location(&data_dir.join("postgres")), None, "the data lies where it was told to");
    assert!(processes_of(&data_dir).len() >= 3, "itself, PostgreSQL and Redis");

    let shopper = log_in(&url).await?;
    let (_, events) = shopper.get("/api/events?pageSize=100").await?;
    let of_the_theatre =
        |event: &&Value| event["name"].as_str().is_some_and(|name| name.contains("Night Tram"));
    let events = events["items"].as_array().ok_or("events")?;
    assert_shows(&shopper, events).await?;
    let event = events.iter().find(of_the_theatre).and_then(|event| event["id"].as_i64());
    let event = EventId(event.ok_or("a show at the theatre")?);
    let job = shopper.book(event, json!({"quantity": 2})).await?;
    let outcome = shopper.outcome(&job).await?;
    let booking = outcome["result"]["bookingId"].clone();
    assert!(booking.is_string(), "{outcome}");
    assert_eq!(bookings(&shopper).await?, std::slice::from_ref(&booking));
    stop(usher, &told).await?;
    assert_eq!(processes_of(&data_dir), Vec::<u32>::new());

    let (usher, url, greeting) = start(&data_dir, &told).await?;
    assert!(!greeting.contains("demo data is loaded"), "{greeting}");
    // The token is still good: secrets are kept beside the data.
    assert_eq!(bookings(&shopper.at(&url)).await?, [booking]);
    stop(usher, &told).await?;
    assert_eq!(processes_of(&data_dir), Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn a_second_interrupt_ends_it_while_it_waits() -> TestResult {
    let dir = open_dir()?;
    let (data_dir, told) = (dir.path().join("data"), dir.path().join("told"));
    let (mut usher, url, _) = start(&data_dir, &told).await?;
    // A request that never comes to its end is waited for, some seconds.
    let mut half = tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await?;
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    half.write_all(head.as_bytes()).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    kill(usher.pid(), Signal::SIGINT)?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(usher.ended()?, None, "it waits");
    kill(usher.pid(), Signal::SIGINT)?;
    let mut status = None;
    eventually("it ends", || {
        status = usher.ended().ok().flatten();
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    eventually("what it had started ends with it", || processes_of(&data_dir).is_empty());
    Ok(())
}
