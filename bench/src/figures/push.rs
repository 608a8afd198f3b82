//! One message to 10,000 sockets, and to 20,000: an operator pauses the lane of an event that all of them watch.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::row::{Quantity, Row, Target};
use crate::bare;
use crate::lab::server::Server;
use crate::lab::watch::resident_bytes;
use crate::lab::{Event, Lab};
use crate::limits::require_sockets;
use crate::load::sockets::{ListenPlan, listen};
use crate::report::{float, say, thousands};

/// So many at once; a step that this shell has not enough open files for is left out, but never the first.
const STEPS: [usize; 2] = [10_000, 20_000];
const LIMIT: Duration = Duration::from_secs(15);

/// What became of one message.
struct Pushed {
    /// From the first socket that had it to the last, in ms.
    span_ms: f64,
    /// From asking for it to the last, in ms.
    since_asked_ms: f64,
    bytes_each: f64,
    missing: u64,
}

/// Measures Usher, then the bare server, with each number of sockets.
pub(super) async fn measure(lab: &Lab) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (nth, sockets) in STEPS.into_iter().enumerate() {
        match require_sockets(sockets as u64) {
            Err(error) if nth > 0 => say(&format!("  not with {sockets} sockets: {error:#}")),
            allowed => {
                allowed?;
                rows.extend(measure_with(lab, sockets).await?);
            }
        }
    }
    Ok(rows)
}

async fn measure_with(lab: &Lab, sockets: usize) -> Result<Vec<Row>> {
    let event = Event::create(&lab.pool, &format!("One message to {sockets}"), 1_000).await?;
    let usher = lab.start_usher().await?;
    let hello = format!(r#"{{"type":"watch","eventId":{}}}"#, event.id);
    let asked = lab.tell_pause(&usher, event.id, "One moment, please");
    let pushed = push(&usher, sockets, hello, asked).await?;
    usher.stop().await?;
    let bare = lab.start_bare().await?;
    let told = async {
        lab.http.post(format!("{}/push", bare.target.url())).send().await.context("tell the bare server")?;
        Ok(())
    };
    let limit = push(&bare, sockets, bare::GREETING.to_owned(), told).await?;
    bare.stop().await?;
    let many = thousands(sockets as u64);
    let span = Row::new(
        format!("push to {many} sockets, first to last"),
        Quantity::Ms(pushed.span_ms),
        Some(Quantity::Ms(limit.span_ms)),
        Target::Nothing,
    );
    let memory = Row::new(
        format!("memory of each of {many} sockets"),
        Quantity::Bytes(pushed.bytes_each),
        Some(Quantity::Bytes(limit.bytes_each)),
        Target::Nothing,
    );
    let note = format!("the last had it {:.0} ms after the operator asked", pushed.since_asked_ms);
    Ok(vec![span.with_note(note).without_errors(pushed.missing, "sockets that were not told"), memory])
}

async fn push(
    server: &Server,
    sockets: usize,
    hello: String,
    ask: impl Future<Output = Result<()>>,
) -> Result<Pushed> {
    let before = resident_bytes(server.pid())?;
    let plan = ListenPlan {
        target: server.target.clone(),
        sockets,
        hello,
        greeting: r#""type":"event""#,
        awaited: r#""type":"paused""#,
        limit: LIMIT,
    };
    let listening = listen(plan).await?;
    let after = resident_bytes(server.pid())?;
    let asked = Instant::now();
    ask.await?;
    let told = listening.told().await?;
    let (first, last) = told.first().zip(told.last()).context("no socket was told")?;
    Ok(Pushed {
        span_ms: (*last - *first).as_secs_f64() * 1_000.0,
        since_asked_ms: (*last - asked).as_secs_f64() * 1_000.0,
        bytes_each: float(after.saturating_sub(before)) / float(sockets as u64),
        missing: (sockets - told.len()) as u64,
    })
}
