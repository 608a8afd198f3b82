//! What Usher is held against, and what is promised.

use super::child::{Answer, Said};
use super::measure::{Measure, Measured};
use crate::figures::{Quantity, Row, Target};

/// What is promised of Usher's result beside a peer's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Promise {
    /// So many times as much, at least.
    Times(f64),
    /// Time or memory: no more of it.
    NoMore,
    /// It is only told.
    Nothing,
}

impl Promise {
    fn target(self, theirs: Quantity) -> Target {
        match self {
            Self::Times(ratio) => Target::RatioAtLeast { ratio },
            Self::NoMore => Target::AtMost { limit: theirs },
            Self::Nothing => Target::Nothing,
        }
    }

    /// As the table has it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Times(ratio) => format!("≥ {ratio}×"),
            Self::NoMore => "≤ 1×".to_owned(),
            Self::Nothing => "–".to_owned(),
        }
    }
}

/// One line of the table before anything was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparison {
    name: &'static str,
    /// What the peers are asked for.
    pub(super) asks: &'static str,
    /// Of several results the one with this lock, in ms.
    lock_ms: Option<u64>,
    promise: Promise,
    /// What is promised beside the Rust port, which is not asked for everything.
    port: Option<Promise>,
}

const fn beside(name: &'static str, asks: &'static str, promise: Promise) -> Comparison {
    Comparison { name, asks, lock_ms: None, promise, port: Some(Promise::Nothing) }
}

impl Comparison {
    const fn with_lock(self, lock_ms: u64) -> Self {
        Self { lock_ms: Some(lock_ms), ..self }
    }

    const fn with_port(self, port: Option<Promise>) -> Self {
        Self { port, ..self }
    }
}

const ADD: [Comparison; 1] = [beside("jobs added one by one", "add", Promise::Times(2.0))];
const ADD_BULK: [Comparison; 1] = [beside("jobs added in bulk", "add-bulk", Promise::Times(5.0))];
const PROCESS: [Comparison; 1] = [beside("jobs done that do nothing", "process", Promise::Times(5.0))];
const PROCESS_POSTGRES: [Comparison; 3] = [
    beside("jobs that reserve, the same rows", "process-reserve", Promise::Times(10.0))
        .with_port(Some(Promise::Times(8.0))),
    beside("the same / theirs write the least", "process-postgres", Promise::Nothing),
    beside("the same / no queue, naive transactions", "naive", Promise::Times(20.0)).with_port(None),
];
const POSITION: [Comparison; 2] = [
    beside("places told, 100,000 waiting", "position", Promise::Times(100.0)),
    beside("the same / past its API, by LPOS", "position-lpos", Promise::Nothing),
];
const RECOVERY: [Comparison; 2] = [
    beside("recovery / its defaults (30 s)", "recovery", Promise::NoMore).with_lock(30_000),
    beside("recovery / a lock of 10 s, as ours", "recovery", Promise::NoMore).with_lock(10_000),
];
const MEMORY: [Comparison; 1] = [beside("Redis per waiting job", "memory", Promise::NoMore)];

impl Measure {
    /// What it is held against.
    pub(super) fn comparisons(self) -> &'static [Comparison] {
        match self {
            Self::Add => &ADD,
            Self::AddBulk => &ADD_BULK,
            Self::Process => &PROCESS,
            Self::ProcessPostgres => &PROCESS_POSTGRES,
            Self::Position => &POSITION,
            Self::Recovery => &RECOVERY,
            Self::Memory => &MEMORY,
        }
    }
}

/// Usher beside one peer.
#[derive(Debug)]
pub(super) struct Side {
    /// Usher's result, the peer's as its limit, and whether the promise was kept.
    pub(super) row: Row,
    /// What was promised.
    pub(super) promise: Promise,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Line {
    /// What was measured.
    pub(super) name: &'static str,
    /// What else there is to say of Usher's result.
    pub(super) note: String,
    /// Beside the peer in Node, or without a queue.
    pub(super) bullmq: Side,
    /// Beside the Rust port, where it was asked.
    pub(super) port: Option<Side>,
}

impl Line {
    /// Whether all that it promises was kept.
    pub(super) fn is_kept(&self) -> bool {
        self.bullmq.row.is_ok && self.port.as_ref().is_none_or(|port| port.row.is_ok)
    }
}

impl Comparison {
    /// Whether the Rust port has this measure.
    pub(super) fn asks_port(&self) -> bool {
        self.port.is_some()
    }

    /// The line that comes of it.
    pub(super) fn line(
        &self,
        usher: &Result<Measured, String>,
        bullmq: &Answer,
        port: Option<&Answer>,
    ) -> Line {
        Line {
            name: self.name,
            note: usher.as_ref().map_or_else(|_| String::new(), |measured| measured.note.clone()),
            bullmq: self.side(usher, bullmq, self.promise),
            port: port.zip(self.port).map(|(answer, promise)| self.side(usher, answer, promise)),
        }
    }

    fn side(&self, usher: &Result<Measured, String>, answer: &Answer, promise: Promise) -> Side {
        let row = match (usher, self.find(answer)) {
            (Err(why), _) => Row::failed(self.name, format!("Usher was not measured: {why}")),
            (Ok(ours), Ok((theirs, said))) => {
                Row::new(self.name, ours.quantity, Some(theirs), promise.target(theirs))
                    .with_note(said.note())
            }
            (Ok(ours), Err(why)) => Row {
                measured: Some(ours.quantity),
                is_ok: matches!(promise, Promise::Nothing),
                ..Row::failed(self.name, why)
            },
        };
        Side { row, promise }
    }

    /// The peer's result that belongs to this line.
    fn find<'a>(&self, answer: &'a Answer) -> Result<(Quantity, &'a Said), String> {
        let all = answer.as_ref().map_err(Clone::clone)?;
        let is_ours = |said: &&Said| self.lock_ms.is_none_or(|ms| said.lock_duration == Some(ms));
        let said = all.iter().find(is_ours).ok_or("said nothing of it")?;
        let theirs = said.quantity().ok_or("told no number")?;
        Ok((theirs, said))
    }
}
