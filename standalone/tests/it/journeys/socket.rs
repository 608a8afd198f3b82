//! The WebSocket.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use shared::auth::Role;
use shared::domain::{AreaId, BookingId, SeatId};
use shared::queue::claim::Claim;
use shared::queue::feed::{SeatsChanged, Told};
use shared::queue::lease::GiveBack;
use standalone::settings::Part;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::lab::{EventPlan, Lab, PATIENCE, Shopper, Socket, TestResult, eventually, make_event};

/// The place that a status tells, or the message after it where the gateway had not read of the job in the feed yet.
async fn first_place(socket: &mut Socket, status: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    if !status["place"].is_null() {
        return Ok(status["place"].clone());
    }
    Ok(socket.until("place").await?["place"].clone())
}

#[tokio::test]
async fn a_subscriber_hears_place_pause_and_outcome() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event, "message": "wait"})).await?;
    let [ahead, shopper, watcher]: [_; 3] =
        lab.shoppers(3).await?.try_into().map_err(|_| "three shoppers")?;
    let first = ahead.book(event, json!({"quantity": 1})).await?;
    let job = shopper.book_seats(event, &seats[..1]).await?;
    let mut socket = Socket::open(&shopper).await?;
    socket.say(json!({"type": "subscribe", "jobId": job})).await?;
    let status = socket.until("status").await?;
    assert_eq!(
        (&status["status"], &status["jobId"], &status["paused"]),
        (&json!("queued"), &json!(job), &json!(true))
    );
    assert_eq!(first_place(&mut socket, &status).await?, 2);
    let mut watching = Socket::open(&watcher).await?;
    watching.say(json!({"type": "watch", "eventId": event})).await?;
    let event_state = watching.until("event").await?;
    assert_eq!((&event_state["paused"], &event_state["message"]), (&json!(true), &json!("wait")));
    // Whoever is taken out of the line by an operator hears of it.
    let third = watcher.book(event, json!({"quantity": 1})).await?;
    let mut losing = Socket::open(&watcher).await?;
    losing.say(json!({"type": "subscribe", "jobId": third})).await?;
    let status = losing.until("status").await?;
    assert_eq!(first_place(&mut losing, &status).await?, 3);
    let waiting = lab.system.queue.waiting_after(event, 0, 10, false).await?;
    let (number, _) = waiting.last().ok_or("somebody waits")?;
    operator.post("/api/admin/queue/remove", json!({"eventId": event, "number": number})).await?;
    let removed = losing.until("failed").await?;
    assert_eq!((&removed["jobId"], &removed["code"]), (&json!(third), &json!("removed")));
    ahead.call(Method::DELETE, &format!("/api/bookings/queue/{first}"), None).await?;
    let place = socket.until("place").await?;
    assert_eq!((&place["place"], &place["jobId"]), (&json!(1), &json!(job)));
    operator.post("/api/admin/queue/pause", json!({"eventId": event, "message": "soon"})).await?;
    assert_eq!(socket.until("paused").await?["message"], "soon");
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    assert_eq!(socket.until("resumed").await?["eventId"], json!(event));
    let reserved = socket.until("reserved").await?;
    assert_eq!(reserved["result"]["seats"][0]["seatId"], json!(seats[0]));
    // The seat is told as wanted first, and then as reserved.
    let mut states = Vec::new();
    while states.last() != Some(&json!([0, 1])) {
        let changed = watching.until("availability").await?;
        assert!(changed["version"].is_u64());
        states.extend(changed["changes"].as_array().cloned().unwrap_or_default());
    }
    assert!(states.contains(&json!([0, 3])), "{states:?}");
    // Resuming after a reconnect: the full state is told at once.
    drop(socket);
    let mut again = Socket::open(&shopper).await?;
    again.say(json!({"type": "subscribe", "jobId": job})).await?;
    assert_eq!(again.until("status").await?["status"], "completed");
    again.say(json!({"type": "ping"})).await?;
    assert_eq!(again.until("pong").await?, json!({"type": "pong"}));
    Ok(())
}

#[tokio::test]
async fn whoever_stands_by_is_told_so_and_not_left_as_one_who_is_being_decided() -> TestResult {
    let lab = Lab::start().await?;
    let (event, seats, _) = make_event(lab.store(), &EventPlan::hall(1, 2)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    let shoppers = lab.shoppers(5).await?;
    shoppers[0].outcome(&shoppers[0].book_seats(event, &seats).await?).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let job = shoppers[1].book(event, json!({"quantity": 1, "standby": true})).await?;
    let mut socket = Socket::open(&shoppers[1]).await?;
    socket.say(json!({"type": "subscribe", "jobId": job})).await?;
    let first = socket.until("status").await?;
    assert_eq!((&first["status"], &first["standby"]), (&json!("queued"), &Value::Null));
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    let aside = socket.until("status").await?;
    assert_eq!(
        (&aside["status"], &aside["standby"], &aside["place"]),
        (&json!("queued"), &json!(true), &json!(1))
    );
    for shopper in &shoppers[2..] {
        let refused = shopper.outcome(&shopper.book(event, json!({"quantity": 1})).await?).await?;
        assert_eq!(refused["code"], "sold_out");
    }
    socket.say(json!({"type": "ping"})).await?;
    let mut last = String::new();
    loop {
        let message = socket.next().await?;
        match message["type"].as_str().unwrap_or_default() {
            "pong" => break,
            kind => kind.clone_into(&mut last),
        }
    }
    // It is tried anew now and then, which a look may have seen: then it is told that this was in vain.
    if last == "processing" {
        assert_eq!(socket.until("status").await?["standby"], true);
    }
    shoppers[0].call(Method::DELETE, &format!("/api/cart/seats/{}", seats[1]), None).await?;
    assert_eq!(socket.until("reserved").await?["result"]["seats"][0]["seatId"], json!(seats[1]));
    Ok(())
}

#[tokio::test]
async fn whoever_is_decided_hears_of_it_of_being_given_back_and_of_success_or_failure() -> TestResult {
    // Nobody decides what is claimed here, at first.
    let lab = Lab::start_with(&[Part::Gateway, Part::Sweeper], &["--queue-lease-ms=60000"]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 1)).await?;
    let (mut sockets, mut jobs) = (Vec::new(), Vec::new());
    for shopper in lab.shoppers(2).await? {
        let job = shopper.book(event, json!({"quantity": 1})).await?;
        let mut socket = Socket::open(&shopper).await?;
        socket.say(json!({"type": "subscribe", "jobId": job})).await?;
        assert_eq!(socket.until("status").await?["status"], "queued");
        sockets.push(socket);
        jobs.push(job);
    }
    let mut claimed = None;
    eventually("the head of the line is claimed", async || {
        if let Ok(Claim::Batch(batch)) = lab.system.queue.claim(event, "slow", 2).await {
            claimed = Some(batch);
        }
        claimed.is_some()
    })
    .await;
    let batch = claimed.ok_or("a batch")?;
    assert_eq!(batch.jobs.len(), 2);
    for (socket, job) in sockets.iter_mut().zip(&jobs) {
        let told = socket.until("processing").await?;
        assert_eq!((&told["jobId"], &told["progress"]), (&json!(job), &json!(50)));
    }
    let given = lab.system.queue.give_back(&batch.lease, &GiveBack::default()).await?;
    assert!(given.is_ok(), "{given:?}");
    for (socket, place) in sockets.iter_mut().zip([1, 2]) {
        let told = socket.until("status").await?;
        assert_eq!((&told["status"], &told["place"]), (&json!("queued"), &json!(place)));
    }
    let _worker = lab.add(&[Part::Worker]).await?;
    assert_eq!(sockets[0].until("reserved").await?["jobId"], json!(jobs[0]));
    let failed = sockets[1].until("failed").await?;
    assert_eq!((&failed["jobId"], &failed["code"]), (&json!(jobs[1]), &json!("sold_out")));
    assert!(failed["error"].as_str().is_some_and(|text| !text.is_empty()), "{failed}");
    Ok(())
}

/// Counts what is told of a place until it is this one.
async fn places_until(socket: &mut Socket, last: u64) -> Result<u32, Box<dyn std::error::Error>> {
    let mut told = 0;
    loop {
        let message = socket.until("place").await?;
        told += 1;
        if message["place"] == last {
            return Ok(told);
        }
    }
}

#[tokio::test]
async fn places_are_told_four_times_a_second_near_the_head_and_once_further_away() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shoppers = lab.shoppers(140).await?;
    let mut jobs = Vec::new();
    for shopper in &shoppers {
        jobs.push(shopper.book(event, json!({"quantity": 1})).await?);
    }
    let (mut near, mut far) = (Socket::open(&shoppers[39]).await?, Socket::open(&shoppers[139]).await?);
    for (socket, at) in [(&mut near, 39), (&mut far, 139)] {
        socket.say(json!({"type": "subscribe", "jobId": jobs[at]})).await?;
        socket.until("status").await?;
    }
    let begun = Instant::now();
    let leaving = async {
        for (shopper, job) in shoppers.iter().zip(&jobs).take(30) {
            shopper.call(Method::DELETE, &format!("/api/bookings/queue/{job}"), None).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, reqwest::Error>(())
    };
    let (left, near, far) = tokio::join!(leaving, places_until(&mut near, 10), places_until(&mut far, 110));
    left?;
    let (near, far, took) = (near?, far?, begun.elapsed().as_millis());
    // One more at either end of the time.
    assert!(u128::from(near) <= took / 250 + 2, "{near} in {took} ms");
    assert!(u128::from(far) <= took / 1_000 + 2, "{far} in {took} ms");
    assert!(near > far, "{near} near, {far} far");
    Ok(())
}

#[tokio::test]
async fn a_socket_is_asked_whether_it_is_there_and_closed_when_it_says_nothing() -> TestResult {
    let words = ["--socket-ping-ms=100", "--socket-silence-ms=1000", "--max-sockets-per-ip=2"];
    let lab = Lab::start_with(&[Part::Gateway], &words).await?;
    let shopper = lab.shopper().await?;
    let mut silent = Socket::open(&shopper).await?;
    let mut answering = Socket::open(&shopper).await?;
    let (mut pings, mut is_over) = (0, false);
    let answer = async {
        // Reading on sends the answers.
        while let Some(Ok(frame)) = answering.0.next().await {
            pings += u32::from(frame.is_ping());
        }
        is_over = true;
    };
    tokio::select! {
        () = answer => {}
        () = eventually("the silent one is closed", async || Socket::open(&shopper).await.is_ok()) => {}
    }
    assert!(!is_over && pings > 2, "whoever answers stays: {pings} pings");
    answering.say(json!({"type": "ping"})).await?;
    answering.until("pong").await?;
    // By hand, as reading frames would answer them.
    let mut heard = Vec::new();
    tokio::time::timeout(PATIENCE, silent.0.get_mut().read_to_end(&mut heard)).await??;
    assert!(heard.starts_with(&[0x89, 0]), "it was asked first: {heard:?}");
    let code = u16::from(CloseCode::Again).to_be_bytes();
    assert!(heard.windows(2).any(|pair| pair == code), "it is told why: {heard:?}");
    Ok(())
}

/// A socket whose buffers are small, and that nobody reads yet.
async fn open_with_little_room(
    shopper: &Shopper,
) -> Result<WebSocketStream<TcpStream>, Box<dyn std::error::Error>> {
    let address = shopper.url.trim_start_matches("http://");
    let connection = TcpSocket::new_v4()?;
    connection.set_recv_buffer_size(4_096)?;
    let connection = connection.connect(address.parse()?).await?;
    let mut request = format!("ws://{address}/ws").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {}", shopper.token).parse()?);
    Ok(tokio_tungstenite::client_async(request, connection).await?.0)
}

/// So many seats of this person have run out; a message of 20 bytes for each.
fn told_of(shopper: &Shopper, seats: i64) -> SeatsChanged {
    let first = 4_000_000_000_000_000_000;
    let seats = (first..first + seats).map(SeatId).collect();
    let told =
        Told { user: shopper.id, booking: BookingId::new(), is_expiry: true, seats, slots: Vec::new() };
    SeatsChanged { told: vec![told], ..SeatsChanged::default() }
}

#[tokio::test]
async fn whoever_watches_hears_of_areas_and_of_more_than_can_be_told_one_by_one() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let plan = EventPlan { standing: 30, ..EventPlan::hall(100, 100) };
    let (event, seats, area) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    // What is announced from here on is of seats that the gateway has read.
    let (status, _) = shopper.get(&format!("/api/events/{event}/availability")).await?;
    assert!(status.is_success(), "{status}");
    let mut socket = Socket::open(&shopper).await?;
    socket.say(json!({"type": "watch", "eventId": event})).await?;
    let before = socket.until("event").await?;
    let few = SeatsChanged {
        sold: seats[..2].to_vec(),
        sold_slots: (1..=3).map(|slot| (AreaId(area), slot)).collect(),
        ..SeatsChanged::default()
    };
    lab.system.queue.announce_sold(event, &few).await?;
    let told = loop {
        // That the seats were read is told as well.
        let told = socket.until("availability").await?;
        if told["areas"] != json!([[area, 30]]) {
            break told;
        }
    };
    assert_eq!(
        (&told["changes"], &told["areas"]),
        (&json!([[0, 2], [1, 2]]), &json!([[area, 27]])),
        "{told}"
    );
    assert!(told["version"].as_u64() > before["version"].as_u64() && told["reload"].is_null(), "{told}");
    let many = SeatsChanged { sold: seats[2..].to_vec(), ..SeatsChanged::default() };
    lab.system.queue.announce_sold(event, &many).await?;
    // They come in parts, and what a part of them tells may be few enough.
    let told = loop {
        let told = socket.until("availability").await?;
        if told["reload"] == true {
            break told;
        }
    };
    assert_eq!(told["changes"], json!([]), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_reader_behind_by_too_many_messages_is_told_to_begin_anew() -> TestResult {
    // What may wait for it, and a few more.
    const SMALL: usize = 70;
    let lab = Lab::start_with(&[Part::Gateway], &["--socket-send-ms=60000"]).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shopper = lab.shopper().await?;
    let mut slow = open_with_little_room(&shopper).await?;
    let mut quick = Socket::open(&shopper).await?;
    // The first is more than fits into all buffers in between, so that the others wait.
    lab.system.queue.announce_seats(event, &told_of(&shopper, 330_000)).await?;
    quick.until("expired").await?;
    for _ in 0..SMALL {
        lab.system.queue.announce_seats(event, &told_of(&shopper, 1)).await?;
        quick.until("expired").await?;
    }
    let mut told = 0;
    let closed = loop {
        match tokio::time::timeout(PATIENCE, slow.next()).await?.ok_or("it ended without a word")?? {
            Message::Text(_) => told += 1,
            Message::Close(frame) => break frame.ok_or("it is not told why")?,
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    };
    assert_eq!(closed.code, CloseCode::Again, "{closed:?}");
    assert!(told < SMALL, "what it did not read is not kept for it: {told}");
    Ok(())
}

#[tokio::test]
async fn a_reader_with_no_room_for_the_next_message_is_cut_off() -> TestResult {
    // What the setting is by itself.
    const USUAL: Duration = Duration::from_secs(5);
    let words = ["--socket-send-ms=300", "--max-sockets-per-ip=1"];
    let lab = Lab::start_with(&[Part::Gateway], &words).await?;
    let (event, ..) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let shopper = lab.shopper().await?;
    let _stuck = open_with_little_room(&shopper).await?;
    assert!(Socket::open(&shopper).await.is_err(), "there is room for one");
    // Each is more than fits into all buffers in between.
    let changed = told_of(&shopper, 330_000);
    let begun = Instant::now();
    for _ in 0..2 {
        lab.system.queue.announce_seats(event, &changed).await?;
    }
    eventually("it is cut off", async || Socket::open(&shopper).await.is_ok()).await;
    // Sooner than others are, and than connections that take nothing in.
    assert!(begun.elapsed() < USUAL, "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_pause_of_the_whole_queue_is_told_in_lanes_first_used_during_it() -> TestResult {
    let lab = Lab::start().await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"message": "wait"})).await?;
    let shopper = lab.shopper().await?;
    let deadline = Instant::now() + PATIENCE;
    let (mut socket, event) = loop {
        // A lane that the gateway made before it heard of the pause would hear of it.
        let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
        let mut socket = Socket::open(&shopper).await?;
        socket.say(json!({"type": "watch", "eventId": event})).await?;
        let told = socket.until("event").await?;
        if told["paused"] == true {
            assert_eq!(told["message"], "wait");
            break (socket, event);
        }
        assert!(Instant::now() < deadline, "the pause is not known: {told}");
    };
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(socket.until("resumed").await?["eventId"], json!(event));
    Ok(())
}

#[tokio::test]
async fn operators_say_something_to_those_who_wait_without_a_pause() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let (operator, shopper) = (lab.with_role(Role::Operator).await?, lab.shopper().await?);
    let mut socket = Socket::open(&shopper).await?;
    socket.say(json!({"type": "watch", "eventId": event})).await?;
    assert_eq!(socket.until("event").await?["message"], Value::Null);
    let resume = "/api/admin/queue/resume";
    operator.post(resume, json!({"eventId": event, "message": "Gate B is open"})).await?;
    let told = socket.until("message").await?;
    assert_eq!((&told["eventId"], &told["message"]), (&json!(event), &json!("Gate B is open")));
    let (_, shown) = shopper.get(&format!("/api/events/{event}")).await?;
    assert_eq!((&shown["queuePaused"], &shown["queueMessage"]), (&json!(false), &json!("Gate B is open")));
    operator.post("/api/admin/queue/pause", json!({"message": "wait"})).await?;
    assert_eq!(socket.until("paused").await?["message"], "wait", "a pause of all goes before it");
    operator.post(resume, json!({"message": "thank you"})).await?;
    assert_eq!(socket.until("resumed").await?["message"], "Gate B is open", "and ends with it");
    operator.post(resume, json!({"eventId": event})).await?;
    assert_eq!(socket.until("message").await?["message"], "thank you", "to everybody");
    let mut late = Socket::open(&shopper).await?;
    late.say(json!({"type": "watch", "eventId": event})).await?;
    assert_eq!(late.until("event").await?["message"], "thank you");
    operator.post(resume, json!({})).await?;
    assert_eq!(socket.until("message").await?["message"], "");
    let (status, refused) = operator.post(resume, json!({"message": "x".repeat(301)})).await?;
    assert_eq!((status.as_u16(), &refused["code"]), (422, &json!("validation")));
    let written = "select count(*) from audit_log where action = 'queue.resume' and user_id is not null";
    assert_eq!(lab.count(written).await?, 4, "each stands in the audit log");
    Ok(())
}

#[tokio::test]
async fn the_owner_hears_of_an_expiry_and_of_a_release() -> TestResult {
    let lab = Lab::start().await?;
    let plan = EventPlan { hold_seconds: 2, ..EventPlan::hall(1, 4) };
    let (event, seats, _) = make_event(lab.store(), &plan).await?;
    let [shopper, stranger]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let mut socket = Socket::open(&shopper).await?;
    let mut other = Socket::open(&stranger).await?;
    let won = shopper.outcome(&shopper.book_seats(event, &seats[..2]).await?).await?;
    shopper.call(Method::DELETE, &format!("/api/cart/seats/{}", seats[0]), None).await?;
    let released = socket.until("released").await?;
    assert_eq!(
        (&released["seatIds"], &released["bookingId"]),
        (&json!([seats[0]]), &won["result"]["bookingId"])
    );
    let expired = socket.until("expired").await?;
    assert_eq!(
        (&expired["seatIds"], &expired["bookingId"]),
        (&json!([seats[1]]), &won["result"]["bookingId"])
    );
    let silence = tokio::time::timeout(Duration::from_millis(300), other.next()).await;
    assert!(silence.is_err(), "strangers hear nothing: {silence:?}");
    Ok(())
}

#[tokio::test]
async fn the_owner_hears_which_places_of_an_area_were_released_and_have_expired() -> TestResult {
    let lab = Lab::start().await?;
    let plan = EventPlan { hold_seconds: 2, ..EventPlan::club(4) };
    let (event, _, area) = make_event(lab.store(), &plan).await?;
    let shopper = lab.shopper().await?;
    let mut socket = Socket::open(&shopper).await?;
    let won = shopper.outcome(&shopper.book(event, json!({"areaId": area, "quantity": 2})).await?).await?;
    let slot = |at: usize| won["result"]["seats"][at]["slot"].clone();
    let path = format!("/api/cart/areas/{area}/slots/{}", slot(0));
    let (status, answer) = shopper.call(Method::DELETE, &path, None).await?;
    assert!(status.is_success(), "{status}: {answer}");
    for (kind, slot) in [("released", slot(0)), ("expired", slot(1))] {
        let told = socket.until(kind).await?;
        assert_eq!((&told["seatIds"], &told["slots"]), (&json!([]), &json!([[area, slot]])));
        assert_eq!(told["bookingId"], won["result"]["bookingId"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_stranger_with_the_reference_sees_the_end_but_not_what_was_won() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({})).await?;
    let [shopper, stranger]: [_; 2] = lab.shoppers(2).await?.try_into().map_err(|_| "two shoppers")?;
    let job = shopper.book(event, json!({"quantity": 1})).await?;
    let mut socket = Socket::open(&stranger).await?;
    socket.say(json!({"type": "subscribe", "jobId": job})).await?;
    assert_eq!(socket.until("status").await?["userId"], Value::Null);
    operator.post("/api/admin/queue/resume", json!({})).await?;
    assert_eq!(socket.until("reserved").await?["result"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_socket_is_bounded_in_what_it_may_ask() -> TestResult {
    let lab = Lab::start().await?;
    let shopper = lab.shopper().await?;
    let mut socket = Socket::open(&shopper).await?;
    socket.say(json!({"type": "subscribe", "jobId": "forged"})).await?;
    assert_eq!(socket.until("error").await?["code"], "bad_job_reference");
    socket.say(json!({"type": "watch", "eventId": 999})).await?;
    assert_eq!(socket.until("error").await?["code"], "not_found");
    socket.say(json!({"type": "nonsense"})).await?;
    assert_eq!(socket.until("error").await?["code"], "bad_json");
    socket.say(json!({"type": "auth", "token": "forged"})).await?;
    assert_eq!(socket.until("error").await?["code"], "unauthenticated");
    for _ in 0..80 {
        if socket.say(json!({"type": "ping"})).await.is_err() {
            break;
        }
    }
    let end =
        tokio::time::timeout(PATIENCE, async { while let Some(Ok(_)) = socket.0.next().await {} }).await;
    assert!(end.is_ok(), "a flood ends the socket");
    let mut anew = Socket::open(&shopper).await?;
    for _ in 0..21 {
        anew.say(json!({"type": "watch", "eventId": 999})).await?;
    }
    for _ in 0..21 {
        assert_eq!(anew.until("error").await?["code"], "not_found", "everything is asked for anew at once");
    }
    let mut pinging = Socket::open(&shopper).await?;
    for _ in 0..80 {
        if pinging.0.send(Message::Ping(Vec::new().into())).await.is_err() {
            break;
        }
    }
    let end =
        tokio::time::timeout(PATIENCE, async { while let Some(Ok(_)) = pinging.0.next().await {} }).await;
    assert!(end.is_ok(), "so does one of pings");
    let mut huge = Socket::open(&shopper).await?;
    let sent = huge.say(json!({"type": "auth", "token": "x".repeat(10_000)})).await;
    let closed = sent.is_err() || huge.until("authenticated").await.is_err();
    assert!(closed, "a huge message ends the socket");
    Ok(())
}

#[tokio::test]
async fn pages_of_other_sites_cannot_open_the_socket() -> TestResult {
    let lab = Lab::start().await?;
    let url = lab.system.url.replace("http://", "ws://");
    let mut request = format!("{url}/ws").into_client_request()?;
    request.headers_mut().insert("origin", "https://evil.example".parse()?);
    match tokio_tungstenite::connect_async(request).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => return Err(format!("not refused: {other:?}").into()),
    }
    let mut own = format!("{url}/ws").into_client_request()?;
    own.headers_mut().insert("origin", lab.system.url.parse()?);
    assert!(tokio_tungstenite::connect_async(own).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_stopping_gateway_takes_leave_of_its_sockets_and_waits_for_them() -> TestResult {
    let lab = Lab::start_with(&[Part::Gateway], &[]).await?;
    let shopper = lab.shopper().await?;
    let (prompt, busy) = (lab.add(&[Part::Gateway]).await?, lab.add(&[Part::Gateway]).await?);
    let mut answering = Socket::open(&shopper.at(&prompt.url)).await?;
    let mut silent = Socket::open(&shopper.at(&busy.url)).await?;
    for socket in [&mut answering, &mut silent] {
        socket.say(json!({"type": "ping"})).await?;
        socket.until("pong").await?;
    }
    let farewell = async |socket: &mut Socket| match socket.0.next().await {
        Some(Ok(Message::Close(Some(frame)))) => Some(frame.code),
        _ => None,
    };
    let all = async {
        let code = farewell(&mut answering).await;
        // Reading on sends the answer.
        while let Some(Ok(_)) = answering.0.next().await {}
        code
    };
    let ((), code) = tokio::time::timeout(PATIENCE, async { tokio::join!(prompt.stop(), all) }).await?;
    assert_eq!(code, Some(CloseCode::Away));

    let stopped = Instant::now();
    tokio::time::timeout(PATIENCE, busy.stop()).await?;
    let took = stopped.elapsed();
    // Nobody has read the farewell, let alone answered it.
    assert!(took >= Duration::from_secs(1), "it did not wait: {took:?}");
    assert_eq!(farewell(&mut silent).await, Some(CloseCode::Away), "it was sent all the same");
    assert!(silent.0.next().await.is_none_or(|end| end.is_err()), "and the connection is over");
    Ok(())
}

#[tokio::test]
async fn a_socket_of_somebody_who_was_logged_out_is_told_nothing_more() -> TestResult {
    let lab = Lab::start().await?;
    let (event, _, _) = make_event(lab.store(), &EventPlan::hall(1, 4)).await?;
    let operator = lab.with_role(Role::Operator).await?;
    operator.post("/api/admin/queue/pause", json!({"eventId": event})).await?;
    let nova = lab.account("nova").await?.shopper;
    let job = nova.book(event, json!({"quantity": 1})).await?;
    let mut socket = Socket::open(&nova).await?;
    socket.say(json!({"type": "subscribe", "jobId": job})).await?;
    socket.until("status").await?;
    nova.post("/api/auth/logout-everywhere", json!({})).await?;
    operator.post("/api/admin/queue/resume", json!({"eventId": event})).await?;
    assert!(socket.until("reserved").await.is_err(), "what was won is told to nobody");
    let mut late = Socket::open(&lab.shopper().await?).await?;
    late.say(json!({"type": "auth", "token": nova.token})).await?;
    assert_eq!(late.until("error").await?["code"], "token_expired");
    Ok(())
}
