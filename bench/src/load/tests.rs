//! The load against the bare server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::sockets::{ListenPlan, listen};
use super::{Bookings, Pace, Plan, run};
use crate::bare;
use crate::target::Target;

async fn start_bare() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(bare::serve_on(listener));
    address
}

fn bookings() -> Arc<Bookings> {
    let tokens: Arc<[String]> = (0..100).map(|n| format!("token-{n}")).collect();
    Arc::new(Bookings::new("127.0.0.1", 1, tokens, 0))
}

fn plan(target: SocketAddr, pace: Pace) -> Plan {
    Plan { target, connections: 50, threads: 2, pace, keep_bodies: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_a_steady_pace_is_answered_once() {
    let target = start_bare().await;
    let pace = Pace::Steady { per_second: 2_000, total: 1_000 };
    let tally = run(plan(target, pace), bookings()).await.expect("a run");
    assert_eq!((tally.good(), tally.errors()), (1_000, 0), "{}", tally.complaints());
    let mut indices: Vec<u64> = tally.bodies.iter().map(|(index, _)| *index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..1_000).collect::<Vec<_>>());
    // The last one was due half a second after the first.
    assert!(tally.last >= Duration::from_millis(499), "{:?}", tally.last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burst_sends_one_request_on_each_connection() {
    let target = start_bare().await;
    let tally = run(plan(target, Pace::Burst), bookings()).await.expect("a run");
    assert_eq!((tally.good(), tally.errors()), (50, 0), "{}", tally.complaints());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flat_out_ends_in_time_and_counts() {
    let target = start_bare().await;
    let tally = run(plan(target, Pace::Flat(Duration::from_millis(300))), bookings()).await.expect("a run");
    assert_eq!(tally.errors(), 0, "{}", tally.complaints());
    assert!(tally.counted > 0 && tally.per_second() > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_a_dying_server_leaves_unanswered_are_counted() {
    // Takes connections, and never answers: what is due meanwhile must not be forgotten.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let target = listener.local_addr().expect("an address");
    let dropped = std::thread::spawn(move || {
        let streams: Vec<_> = listener.incoming().take(50).collect();
        std::thread::sleep(Duration::from_millis(600));
        drop(streams);
    });
    let pace = Pace::Steady { per_second: 500, total: 100 };
    let tally = run(plan(target, pace), bookings()).await.expect("a run");
    dropped.join().expect("a thread");
    assert_eq!((tally.good(), tally.errors()), (0, 100), "{}", tally.complaints());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_gets_no_load() {
    let target = "192.0.2.1:80".parse().expect("an address");
    assert!(run(plan(target, Pace::Burst), bookings()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_socket_is_told_once() {
    let target = Target::of(&format!("http://{}", start_bare().await)).await.expect("a target");
    let plan = ListenPlan {
        target: target.clone(),
        sockets: 100,
        hello: r#"{"type":"watch","eventId":1}"#.to_owned(),
        greeting: r#""type":"event""#,
        awaited: r#""type":"paused""#,
        limit: Duration::from_secs(10),
    };
    let listening = listen(plan).await.expect("open sockets");
    let client = reqwest::Client::new();
    client.post(format!("{}/push", target.url())).send().await.expect("an answer");
    assert_eq!(listening.told().await.expect("messages").len(), 100);
}
