//! Thousands of WebSocket connections that wait for one message.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};

use super::frames::{CLOSE, PING, PONG, TEXT, frame, read_frame};
use super::wire::{Answer, read_answer};
use crate::target::Target;

/// How long all sockets together may take to open and be greeted.
const OPEN_LIMIT: Duration = Duration::from_mins(1);
/// Sockets that are opened at the same time.
const OPENING: usize = 64;

/// What the sockets say and wait for.
#[derive(Debug, Clone)]
pub struct ListenPlan {
    /// Whose `/ws`.
    pub target: Target,
    /// How many sockets.
    pub sockets: usize,
    /// What each says first.
    pub hello: String,
    /// A part of the answer to that.
    pub greeting: &'static str,
    /// A part of the message that is waited for.
    pub awaited: &'static str,
    /// How long it is waited for, once all sockets are open.
    pub limit: Duration,
}

/// Sockets that are open and wait.
#[derive(Debug)]
pub struct Listening {
    listening: JoinHandle<Result<Vec<Instant>>>,
    enough: oneshot::Sender<()>,
}

impl Listening {
    /// When each socket had the message, in order; ends early when the time is over.
    pub async fn told(self) -> Result<Vec<Instant>> {
        let told = self.listening.await.context("the sockets were ended")?;
        drop(self.enough);
        told
    }
}

/// Opens the sockets; returns when each has been greeted.
pub async fn listen(plan: ListenPlan) -> Result<Listening> {
    crate::limits::require_sockets(plan.sockets as u64)?;
    let (open, opened) = oneshot::channel();
    let (enough, stop) = oneshot::channel();
    let listening = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, listen_here(plan, open, stop))
    });
    if opened.await.is_err() {
        // It says why.
        listening.await.context("the sockets were ended")??;
        bail!("the sockets closed before all were open");
    }
    Ok(Listening { listening, enough })
}

#[derive(Default)]
struct Shared {
    greeted: Cell<usize>,
    told: RefCell<Vec<Instant>>,
    failure: RefCell<Option<String>>,
    changed: tokio::sync::Notify,
}

async fn listen_here(
    plan: ListenPlan,
    open: oneshot::Sender<()>,
    stop: oneshot::Receiver<()>,
) -> Result<Vec<Instant>> {
    let plan = Rc::new(plan);
    let shared = Rc::new(Shared::default());
    let opening = futures_util::stream::iter(0..plan.sockets)
        .map(|_| open_one(&plan, &shared))
        .buffer_unordered(OPENING)
        .try_collect::<Vec<()>>();
    tokio::time::timeout(OPEN_LIMIT, opening).await.context("the sockets took too long to open")??;
    let all_greeted = wait(&shared, OPEN_LIMIT, |shared| shared.greeted.get() >= plan.sockets);
    if !all_greeted.await? {
        bail!("{} of {} sockets were greeted", shared.greeted.get(), plan.sockets);
    }
    if open.send(()).is_err() {
        return Ok(Vec::new());
    }
    let all_told = wait(&shared, plan.limit, |shared| shared.told.borrow().len() >= plan.sockets);
    tokio::select! {
        told = all_told => { told?; }
        _ = stop => {}
    }
    let mut told = shared.told.take();
    told.sort_unstable();
    Ok(told)
}

/// Waits until something holds, looking whenever something changed; false when the time is over.
async fn wait(shared: &Shared, limit: Duration, is_so: impl Fn(&Shared) -> bool) -> Result<bool> {
    let looking = async {
        while !is_so(shared) {
            if let Some(failure) = shared.failure.take() {
                bail!(failure);
            }
            shared.changed.notified().await;
        }
        Ok(())
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(looked) => looked.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// Opens one socket, says hello, and leaves a task behind that reads.
async fn open_one(plan: &Rc<ListenPlan>, shared: &Rc<Shared>) -> Result<()> {
    let mut stream = TcpStream::connect(plan.target.address).await.context("connect")?;
    stream.set_nodelay(true)?;
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        plan.target.host
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut read = Vec::with_capacity(1_024);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            bail!("the server closed a socket while it was opened");
        }
        match read_answer(&read).map_err(anyhow::Error::msg)? {
            Answer::Partial => {}
            Answer::Whole { status: 101, length, .. } => {
                read.drain(..length);
                break;
            }
            Answer::Whole { status, body, .. } => {
                bail!("the socket was refused with {status}: {}", String::from_utf8_lossy(body));
            }
        }
    }
    stream.write_all(&frame(TEXT, plan.hello.as_bytes())).await?;
    let (plan, shared) = (Rc::clone(plan), Rc::clone(shared));
    tokio::task::spawn_local(async move {
        if let Err(error) = follow(&plan, &shared, stream, read).await {
            shared.failure.replace(Some(format!("{error:#}")));
            shared.changed.notify_one();
        }
    });
    Ok(())
}

async fn follow(plan: &ListenPlan, shared: &Shared, mut stream: TcpStream, mut read: Vec<u8>) -> Result<()> {
    let (mut is_greeted, mut is_told) = (false, false);
    loop {
        let mut done = 0;
        while let Some(frame_read) = read_frame(&read[done..]).map_err(anyhow::Error::msg)? {
            match frame_read.opcode {
                PING => stream.write_all(&frame(PONG, frame_read.payload)).await?,
                CLOSE => bail!("the server closed a socket: {}", String::from_utf8_lossy(frame_read.payload)),
                _ if !is_greeted && contains(frame_read.payload, plan.greeting) => {
                    is_greeted = true;
                    shared.greeted.set(shared.greeted.get() + 1);
                    shared.changed.notify_one();
                }
                _ if !is_told && contains(frame_read.payload, plan.awaited) => {
                    is_told = true;
                    shared.told.borrow_mut().push(Instant::now());
                    shared.changed.notify_one();
                }
                _ => {}
            }
            done += frame_read.length;
        }
        read.drain(..done);
        if read.is_empty() && read.capacity() > 4_096 {
            read = Vec::with_capacity(1_024);
        }
        if stream.read_buf(&mut read).await? == 0 {
            bail!("the server closed a socket");
        }
    }
}

fn contains(payload: &[u8], part: &str) -> bool {
    payload.windows(part.len().max(1)).any(|window| window == part.as_bytes())
}
