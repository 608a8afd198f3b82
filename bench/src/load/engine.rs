//! Connections with one request in flight each, all on one thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;

use super::requests::Requests;
use super::tally::Tally;
use super::wire::{Answer, read_answer};

/// A request, and when it is to be sent.
#[derive(Debug, Clone, Copy)]
struct Due {
    at: Instant,
    index: u64,
}

/// A connection that stays open.
pub(super) struct Connection {
    stream: TcpStream,
    in_flight: Cell<Option<Due>>,
    /// Requests whose time has come while another one is in flight.
    late: RefCell<VecDeque<Due>>,
    is_broken: Cell<bool>,
}

/// What the connections of a thread share.
pub(super) struct Engine {
    requests: Arc<dyn Requests>,
    keep_bodies: bool,
    start: Instant,
    /// From when answers count for the rate.
    count_from: Instant,
    /// Until when each answer makes the next request; `None` when a pace does.
    until: Option<Instant>,
    next: Cell<u64>,
    stride: u64,
    tally: RefCell<Tally>,
    outstanding: Cell<u64>,
    written: RefCell<Vec<u8>>,
    received: RefCell<Vec<u8>>,
}

/// When a thread's connections work, and on which requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    pub(super) start: Instant,
    pub(super) count_from: Instant,
    pub(super) until: Option<Instant>,
    /// Its first request; the next ones follow in steps of `stride`.
    pub(super) first: u64,
    pub(super) stride: u64,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            in_flight: Cell::new(None),
            late: RefCell::new(VecDeque::new()),
            is_broken: Cell::new(false),
        }
    }
}

impl Engine {
    pub(super) fn new(requests: Arc<dyn Requests>, keep_bodies: bool, shift: Shift) -> Self {
        Self {
            requests,
            keep_bodies,
            start: shift.start,
            count_from: shift.count_from,
            until: shift.until,
            next: Cell::new(shift.first),
            stride: shift.stride,
            tally: RefCell::new(Tally::default()),
            outstanding: Cell::new(0),
            written: RefCell::new(Vec::with_capacity(1_024)),
            received: RefCell::new(vec![0; 64 * 1_024]),
        }
    }

    /// The index of the thread's next request.
    pub(super) fn next_index(&self) -> u64 {
        let index = self.next.get();
        self.next.set(index + self.stride);
        index
    }

    /// How many requests wait for their answer.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding.get()
    }

    /// What came back; what is still outstanding counts as unanswered.
    pub(super) fn finish(&self) -> Tally {
        let mut tally = self.tally.take();
        if self.outstanding.get() > 0 {
            *tally.failures.entry("unanswered").or_default() += self.outstanding.get();
        }
        tally
    }

    /// Sends a request that is due since `at`, or lets it wait behind the one in flight.
    pub(super) fn offer(self: &Rc<Self>, connection: &Rc<Connection>, at: Instant, index: u64) {
        let due = Due { at, index };
        if connection.is_broken.get() {
            self.count_failure("no connection", 1);
            return;
        }
        self.outstanding.set(self.outstanding.get() + 1);
        if connection.in_flight.get().is_some() {
            connection.late.borrow_mut().push_back(due);
        } else {
            self.send(connection, due);
        }
    }

    fn send(self: &Rc<Self>, connection: &Rc<Connection>, due: Due) {
        connection.in_flight.set(Some(due));
        let mut bytes = self.written.borrow_mut();
        bytes.clear();
        self.requests.write(due.index, &mut bytes);
        let sent = match connection.stream.try_write(&bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            // The reader meets the same error and counts it.
            Err(_) => bytes.len(),
        };
        if sent < bytes.len() {
            let (rest, connection) = (bytes[sent..].to_vec(), Rc::clone(connection));
            tokio::task::spawn_local(async move { write_rest(&connection.stream, &rest).await });
        }
    }

    /// Reads answers until the connection ends.
    pub(super) async fn read(self: Rc<Self>, connection: Rc<Connection>) {
        let mut part = Vec::new();
        loop {
            if connection.stream.readable().await.is_err() {
                return self.give_up(&connection, "connection lost");
            }
            if let Err(why) = self.receive(&connection, &mut part) {
                return self.give_up(&connection, why);
            }
        }
    }

    fn receive(self: &Rc<Self>, connection: &Rc<Connection>, part: &mut Vec<u8>) -> Result<(), &'static str> {
        let mut received = self.received.borrow_mut();
        let read = match connection.stream.try_read(&mut received) {
            Ok(0) => return Err("connection closed"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err("connection lost"),
        };
        let bytes = if part.is_empty() {
            &received[..read]
        } else {
            part.extend_from_slice(&received[..read]);
            part.as_slice()
        };
        match read_answer(bytes)? {
            Answer::Partial => {
                if part.is_empty() {
                    part.extend_from_slice(&received[..read]);
                }
            }
            Answer::Whole { status, body, length } => {
                if length != bytes.len() {
                    return Err("more than was asked for");
                }
                self.answered(connection, status, body);
                part.clear();
            }
        }
        Ok(())
    }

    fn answered(self: &Rc<Self>, connection: &Rc<Connection>, status: u16, body: &[u8]) {
        let now = Instant::now();
        let Some(due) = connection.in_flight.take() else { return };
        self.outstanding.set(self.outstanding.get().saturating_sub(1));
        {
            let mut tally = self.tally.borrow_mut();
            let is_good = (200..300).contains(&status);
            tally.add(
                status,
                now.saturating_duration_since(due.at),
                now.saturating_duration_since(self.start),
            );
            if now >= self.count_from && self.until.is_none_or(|until| now <= until) && is_good {
                tally.counted += 1;
            }
            if !is_good {
                tally.sample(status, body);
            } else if self.keep_bodies {
                tally.bodies.push((due.index, body.into()));
            }
        }
        let late = connection.late.borrow_mut().pop_front();
        if let Some(due) = late {
            self.send(connection, due);
        } else if self.until.is_some_and(|until| now < until) {
            self.offer(connection, now, self.next_index());
        }
    }

    fn give_up(&self, connection: &Connection, why: &'static str) {
        connection.is_broken.set(true);
        let lost = u64::from(connection.in_flight.take().is_some()) + connection.late.take().len() as u64;
        self.outstanding.set(self.outstanding.get().saturating_sub(lost));
        if lost > 0 {
            self.count_failure(why, lost);
        }
    }

    fn count_failure(&self, why: &'static str, count: u64) {
        *self.tally.borrow_mut().failures.entry(why).or_default() += count;
    }
}

async fn write_rest(stream: &TcpStream, mut rest: &[u8]) {
    while !rest.is_empty() && stream.writable().await.is_ok() {
        match stream.try_write(rest) {
            Ok(sent) => rest = &rest[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The reader meets the same error and counts it.
            Err(_) => return,
        }
    }
}
