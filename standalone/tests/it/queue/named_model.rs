//! What a lane of a named queue is, without Redis: who waits in which place, what rests or is for later, and the limits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shared::queue::claim::Batch;
use shared::queue::control::Rate;
use shared::queue::jobs::Job;

/// No lease runs out by itself here.
pub(super) const LEASE_MS: u64 = 60_000;
/// As `claim.lua` has it, for a lane that finds others at work.
const LOOK_AGAIN_MS: u64 = 100;

pub(super) type Fallible<T> = Result<T, TestCaseError>;

/// Some time within these, both included, in ms of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Moment {
    pub(super) fn plus(self, ms: u64) -> Self {
        Self { from: self.from + ms, to: self.to + ms }
    }
}

/// A limit and what is used up of its window.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) rate: Option<Rate>,
    /// When the last window began, and with which claim.
    began: Option<(Moment, u64)>,
    used: usize,
}

impl Window {
    pub(super) fn end(&self) -> Option<Moment> {
        let (began, _) = self.began?;
        Some(began.plus(u64::from(self.rate?.window_ms)))
    }

    /// How many may be taken; when none, until when.
    fn room(&self, at: Moment) -> Result<usize, Moment> {
        let Some(rate) = self.rate else { return Ok(usize::MAX) };
        let max = usize::try_from(rate.max).unwrap_or(usize::MAX);
        match self.end() {
            Some(end) if end.to > at.from => {
                let left = max.saturating_sub(self.used);
                if left > 0 { Ok(left) } else { Err(end) }
            }
            _ => Ok(max),
        }
    }

    /// A window begins with the first that are taken in it.
    fn take(&mut self, count: usize, at: Moment, claim: u64) {
        if self.rate.is_none() {
            return;
        }
        if self.end().is_none_or(|end| end.to <= at.from) {
            (self.began, self.used) = (Some((at, claim)), 0);
        }
        self.used += count;
    }

    /// What was taken by this claim is given back undone.
    pub(super) fn give_back(&mut self, count: usize, claim: u64) {
        if self.rate.is_some() && self.began.is_some_and(|(_, with)| with <= claim) {
            self.used -= count;
        }
    }
}

/// A job that is not in line yet, or not any more for a while.
#[derive(Debug, Clone)]
pub(super) struct Delayed {
    pub(super) due: Moment,
    /// The call that set it: of one call, the order is known exactly.
    pub(super) call: u64,
    /// As it stands in Redis, where those due in the same millisecond are sorted by it.
    pub(super) member: String,
    pub(super) job: usize,
    /// Its place, which it has unless it was for later from the beginning.
    pub(super) place: Option<u64>,
}

impl Delayed {
    fn is_before(&self, other: &Self) -> bool {
        let exact = |one: &Self| one.due.from == one.due.to;
        if self.call == other.call || (exact(self) && exact(other)) {
            (self.due.from, &self.member) < (other.due.from, &other.member)
        } else {
            self.due.to < other.due.from
        }
    }
}

/// The batch that is out.
pub(super) struct Taken {
    pub(super) batch: Batch<Job>,
    /// Of its jobs.
    pub(super) places: Vec<u64>,
    pub(super) since: Moment,
    pub(super) claim: u64,
    pub(super) has_run_out: bool,
}

#[derive(Default)]
pub(super) struct Lane {
    /// Those that wait or are at hand, by their places.
    pub(super) line: BTreeMap<u64, usize>,
    pub(super) delayed: Vec<Delayed>,
    pub(super) rests: Option<Moment>,
    pub(super) window: Window,
    pub(super) taken: Option<Taken>,
    /// Numbers as they were seen, by place: they rise with the places.
    pub(super) numbers: BTreeMap<u64, u64>,
    pub(super) stalled: u64,
    /// Finished jobs that are kept: that were completed, and that failed.
    pub(super) kept: [usize; 2],
}

/// A claim, and what counts for it beside its lane.
pub(super) struct Ask<'a> {
    pub(super) most: usize,
    pub(super) at: Moment,
    pub(super) claim: u64,
    pub(super) is_paused: bool,
    /// As many lanes are at work as may be.
    pub(super) is_full: bool,
    /// Of the whole queue.
    pub(super) window: &'a mut Window,
    /// Counts places.
    pub(super) count: &'a mut u64,
}

/// What a claim must answer.
#[derive(Debug)]
pub(super) enum Expected {
    Paused,
    Later(Moment),
    Empty,
    /// These places.
    Batch(Vec<u64>),
}

impl Lane {
    pub(super) fn is_leased(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| !taken.has_run_out)
    }

    /// How many are at hand.
    pub(super) fn active(&self) -> usize {
        self.taken.as_ref().filter(|taken| !taken.has_run_out).map_or(0, |taken| taken.places.len())
    }

    /// What is due comes into the line, so many at most, those first that were due first.
    fn bring_back(&mut self, most: usize, at: Moment, count: &mut u64) -> Fallible<()> {
        let is_due = |delayed: &Delayed| delayed.due.to <= at.from;
        let (mut due, mut rest): (Vec<_>, Vec<_>) = self.delayed.drain(..).partition(is_due);
        due.sort_by(|a, b| (a.due.from, &a.member).cmp(&(b.due.from, &b.member)));
        let later = due.split_off(most.min(due.len()));
        if !due.iter().all(|first| later.iter().all(|second| first.is_before(second))) {
            return Err(TestCaseError::reject("two jobs were due at the same time"));
        }
        rest.extend(later);
        self.delayed = rest;
        for delayed in due {
            let place = delayed.place.unwrap_or_else(|| {
                *count += 1;
                *count
            });
            self.line.insert(place, delayed.job);
        }
        Ok(())
    }

    /// What `claim.lua` does, in its order.
    pub(super) fn expect(&mut self, ask: Ask<'_>) -> Fallible<Expected> {
        let Ask { most, at, claim, window, .. } = ask;
        if ask.is_paused {
            return Ok(Expected::Paused);
        }
        if let Some(taken) = self.taken.as_ref().filter(|taken| !taken.has_run_out) {
            return Ok(Expected::Later(taken.since.plus(LEASE_MS)));
        }
        if let Some(rests) = self.rests
            && rests.to > at.from
        {
            return Ok(Expected::Later(rests));
        }
        self.bring_back(most, at, ask.count)?;
        let room = match (self.window.room(at), window.room(at)) {
            (Err(until), _) | (_, Err(until)) => return Ok(Expected::Later(until)),
            (Ok(of_lane), Ok(of_queue)) => most.min(of_lane).min(of_queue),
        };
        if ask.is_full {
            return Ok(Expected::Later(at.plus(LOOK_AGAIN_MS)));
        }
        self.rests = None;
        let places: Vec<u64> = self.line.keys().copied().take(room).collect();
        if places.is_empty() {
            let from = self.delayed.iter().map(|delayed| delayed.due.from).min();
            let to = self.delayed.iter().map(|delayed| delayed.due.to).min();
            let next = from.zip(to).map(|(from, to)| Moment { from, to });
            return Ok(next.map_or(Expected::Empty, Expected::Later));
        }
        self.window.take(places.len(), at, claim);
        window.take(places.len(), at, claim);
        Ok(Expected::Batch(places))
    }
}
