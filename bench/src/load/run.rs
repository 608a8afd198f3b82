//! Threads, and the pace at which requests are due.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::engine::{Connection, Engine, Shift};
use super::requests::Requests;
use super::tally::Tally;

/// How long a connection may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// Connections that are opened at the same time, by one thread: fewer than a listener keeps waiting.
const OPENING: usize = 64;
/// Between the last connection's opening and the first request.
const BREATH: Duration = Duration::from_millis(50);
/// How long the last answers are waited for.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// Answers of this first while don't count for a rate.
const WARM_UP: Duration = Duration::from_millis(500);
/// What is due is sent once in this time.
const TICK: Duration = Duration::from_millis(1);

/// When requests are due.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// On each connection as soon as it has its answer, for this long.
    Flat(Duration),
    /// Evenly, whatever the answers do.
    Steady {
        /// Requests a second.
        per_second: u32,
        /// Requests altogether.
        total: u64,
    },
    /// One on each connection, all at the same instant.
    Burst,
}

/// How a load is made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where it goes; only ever this machine.
    pub target: SocketAddr,
    /// Connections, opened before the first request and kept open.
    pub connections: usize,
    /// Threads that share them.
    pub threads: usize,
    /// When requests are due.
    pub pace: Pace,
    /// Whether bodies of good answers are kept.
    pub keep_bodies: bool,
}

/// Makes the load, and brings back what came of it.
pub async fn run(plan: Plan, requests: Arc<dyn Requests>) -> Result<Tally> {
    if !plan.target.ip().is_loopback() {
        bail!("{} is another machine", plan.target);
    }
    crate::limits::require_sockets(plan.connections as u64)?;
    tokio::task::spawn_blocking(move || on_threads(&plan, &requests)).await.context("the load was ended")?
}

/// What the threads agree on.
struct Meeting {
    all_open: Barrier,
    is_off: AtomicBool,
    start: OnceLock<Instant>,
}

fn on_threads(plan: &Plan, requests: &Arc<dyn Requests>) -> Result<Tally> {
    let threads = plan.threads.clamp(1, plan.connections.max(1));
    let meeting =
        Meeting { all_open: Barrier::new(threads), is_off: AtomicBool::new(false), start: OnceLock::new() };
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..threads)
            .map(|nth| {
                let meeting = &meeting;
                scope.spawn(move || on_thread(plan, requests, meeting, (nth, threads)))
            })
            .collect();
        for thread in working {
            match thread.join() {
                Ok(tally) => total.merge(tally?),
                Err(_) => bail!("a thread of the load has panicked"),
            }
        }
        Ok(total)
    })
}

fn on_thread(
    plan: &Plan,
    requests: &Arc<dyn Requests>,
    meeting: &Meeting,
    (nth, threads): (usize, usize),
) -> Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let opened = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let count = plan.connections / threads + usize::from(nth < plan.connections % threads);
        let connections = runtime.block_on(open(plan.target, count))?;
        Ok((runtime, connections))
    });
    if opened.is_err() {
        meeting.is_off.store(true, Ordering::SeqCst);
    }
    // Everybody comes here, whether they could open theirs or not.
    meeting.all_open.wait();
    let (runtime, connections) = opened?;
    if meeting.is_off.load(Ordering::SeqCst) {
        return Ok(Tally::default());
    }
    let start = *meeting.start.get_or_init(|| Instant::now() + BREATH);
    let (count_from, until) = match plan.pace {
        Pace::Flat(time) => (start + WARM_UP, Some(start + WARM_UP + time)),
        Pace::Steady { .. } | Pace::Burst => (start, None),
    };
    let shift = Shift { start, count_from, until, first: nth as u64, stride: threads as u64 };
    let engine = Rc::new(Engine::new(Arc::clone(requests), plan.keep_bodies, shift));
    let local = LocalSet::new();
    local.block_on(&runtime, work(plan.pace, &engine, &connections, shift));
    let mut tally = engine.finish();
    tally.counted_for = match plan.pace {
        Pace::Flat(time) => time,
        Pace::Steady { .. } | Pace::Burst => tally.last,
    };
    Ok(tally)
}

/// Opens connections, some at a time.
async fn open(target: SocketAddr, count: usize) -> Result<Vec<Rc<Connection>>> {
    let opening = futures_util::stream::iter(0..count).map(|_| async move {
        let stream = timeout(OPEN_LIMIT, TcpStream::connect(target))
            .await
            .with_context(|| format!("{target} took no connection within {OPEN_LIMIT:?}"))?
            .with_context(|| format!("connect to {target}"))?;
        stream.set_nodelay(true)?;
        anyhow::Ok(Rc::new(Connection::new(stream)))
    });
    opening.buffer_unordered(OPENING).try_collect().await
}

async fn work(pace: Pace, engine: &Rc<Engine>, connections: &[Rc<Connection>], shift: Shift) {
    for connection in connections {
        tokio::task::spawn_local(Rc::clone(engine).read(Rc::clone(connection)));
    }
    sleep_until(shift.start.into()).await;
    match pace {
        Pace::Flat(_) | Pace::Burst => {
            for connection in connections {
                engine.offer(connection, shift.start, engine.next_index());
            }
        }
        Pace::Steady { per_second, total } => {
            send_steadily(per_second, total, engine, connections, shift).await;
        }
    }
    let end = shift.until.unwrap_or_else(Instant::now) + DRAIN_LIMIT;
    while engine.outstanding() > 0 && Instant::now() < end {
        sleep(TICK).await;
    }
}

async fn send_steadily(
    per_second: u32,
    total: u64,
    engine: &Rc<Engine>,
    connections: &[Rc<Connection>],
    shift: Shift,
) {
    let due_at =
        |index: u64| shift.start + Duration::from_nanos(index * 1_000_000_000 / u64::from(per_second));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut on = connections.iter().cycle();
    let mut index = engine.next_index();
    while index < total {
        tick.tick().await;
        let now = Instant::now();
        while index < total && due_at(index) <= now {
            let Some(connection) = on.next() else { return };
            engine.offer(connection, due_at(index), index);
            index = engine.next_index();
        }
    }
}
