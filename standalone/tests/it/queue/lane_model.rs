//! What a lane of the booking queue is, without Redis: who waits, stands by and is at hand, by their numbers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::domain::{BookingId, Outcome, Refusal, Reservation};
use shared::queue::claim::Batch;
use shared::queue::settle::Ending;

/// Somebody in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) owner: i64,
    pub(super) attempts: u32,
}

/// How a job of a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Won,
    Refused,
    StandsBy,
    /// Nothing is said of it, so it waits on.
    Missing,
}

impl End {
    /// As a worker says it.
    pub(super) fn ending(self) -> Option<Ending> {
        let (booking, seats, slots) = (BookingId::new(), Vec::new(), Vec::new());
        match self {
            Self::Won => {
                let won = Reservation { booking, seats, slots, expires_at_ms: 0 };
                Some(Ending::Decided(Outcome::Completed(won)))
            }
            Self::Refused => Some(Ending::Decided(Outcome::Failed(Refusal::SoldOut))),
            Self::StandsBy => Some(Ending::StandsBy),
            Self::Missing => None,
        }
    }
}

/// The lease that counts.
pub(super) struct Held {
    /// The one that is settled next first.
    pub(super) batches: VecDeque<Batch>,
    /// Who of them is still in the line.
    pub(super) active: BTreeSet<u64>,
    pub(super) has_run_out: bool,
    /// Jobs came back to the head, so it takes no more behind them.
    pub(super) is_closed: bool,
    /// Those who stood by were asked again under it, so who would stand by is decided again.
    pub(super) has_freed: bool,
}

/// A lease that counts no more.
pub(super) struct Over {
    pub(super) batch: Batch,
    /// It ended with this batch, and no other one began since.
    pub(super) was_settled: bool,
}

/// What a claim must answer.
#[derive(Debug)]
pub(super) enum Expected {
    Paused,
    NotYet,
    Empty,
    /// These jobs, with their attempts, and whether the lease before had run out.
    Batch(Vec<(u64, u32)>, bool),
}

#[derive(Default)]
pub(super) struct Lane {
    /// Those at hand included.
    pub(super) waiting: BTreeMap<u64, Member>,
    pub(super) standby: BTreeMap<u64, Member>,
    /// Whom Redis has lost, and who owns them.
    pub(super) forgotten: BTreeMap<u64, i64>,
    pub(super) held: Option<Held>,
    pub(super) over: Option<Over>,
    pub(super) rests: bool,
    pub(super) is_paused: bool,
    pub(super) fence: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) stalled: u64,
}

impl Lane {
    fn has_lease(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.has_run_out)
    }

    /// How many at the head are being decided.
    pub(super) fn active(&self) -> usize {
        self.held.as_ref().filter(|held| !held.has_run_out).map_or(0, |held| held.active.len())
    }

    /// Whether somebody is at hand, also under a lease that has run out and that nobody has taken over.
    pub(super) fn is_at_hand(&self, number: u64) -> bool {
        self.held.as_ref().is_some_and(|held| held.active.contains(&number))
    }

    /// A worker that looks for work must find it.
    pub(super) fn may_run(&self) -> bool {
        !self.waiting.is_empty() && !self.has_lease() && !self.rests && !self.is_paused
    }

    /// The number of an owner's live job.
    pub(super) fn number_of(&self, owner: i64) -> Option<u64> {
        let mut live = self.waiting.iter().chain(&self.standby);
        live.find(|(_, member)| member.owner == owner).map(|(number, _)| *number)
    }

    /// The place of one in the line; 0 for who is being decided or stands by.
    pub(super) fn place(&self, number: u64) -> u64 {
        if !self.waiting.contains_key(&number) {
            return 0;
        }
        (self.waiting.range(..number).count() + 1).saturating_sub(self.active()) as u64
    }

    pub(super) fn expect_claim(&self, most: usize) -> Expected {
        if self.is_paused {
            return Expected::Paused;
        }
        if self.has_lease() || self.rests {
            return Expected::NotYet;
        }
        if self.waiting.is_empty() {
            return Expected::Empty;
        }
        let head = self.waiting.iter().take(most);
        Expected::Batch(
            head.map(|(number, member)| (*number, member.attempts)).collect(),
            self.held.is_some(),
        )
    }

    /// Whom the lease takes behind those it has.
    pub(super) fn expect_extension(&self, after: u64, most: usize) -> Vec<(u64, u32)> {
        if self.is_paused || self.held.as_ref().is_none_or(|held| held.is_closed) {
            return Vec::new();
        }
        let next = self.waiting.range(after + 1..).take(most);
        next.map(|(number, member)| (*number, member.attempts)).collect()
    }

    pub(super) fn claimed(&mut self, batch: Batch) {
        if self.end_lease(false) {
            self.stalled += 1;
        }
        if let Some(over) = &mut self.over {
            over.was_settled = false;
        }
        self.fence = batch.lease.fence;
        let active = batch.jobs.iter().map(|job| job.number).collect();
        self.held = Some(Held {
            batches: [batch].into(),
            active,
            has_run_out: false,
            is_closed: false,
            has_freed: false,
        });
    }

    pub(super) fn extended(&mut self, batch: Batch) {
        let Some(held) = &mut self.held else { return };
        held.active.extend(batch.jobs.iter().map(|job| job.number));
        held.has_run_out = false;
        held.batches.push_back(batch);
    }

    /// Ends the lease, if there is one.
    pub(super) fn end_lease(&mut self, was_settled: bool) -> bool {
        let Some(batch) = self.held.take().and_then(|mut held| held.batches.pop_front()) else {
            return false;
        };
        self.over = Some(Over { batch, was_settled });
        true
    }

    /// The first batch at hand ends like this; the last one under its lease gives the lane back.
    pub(super) fn settled(&mut self, ends: &[(u64, End)]) {
        for (number, end) in ends {
            if *end == End::Missing {
                continue;
            }
            if let Some(held) = &mut self.held {
                if *end == End::StandsBy && held.has_freed && self.waiting.contains_key(number) {
                    held.is_closed = true;
                    continue;
                }
                held.active.remove(number);
            }
            // Who left meanwhile was counted then.
            let Some(member) = self.waiting.remove(number) else { continue };
            match end {
                End::Won => self.completed += 1,
                End::Refused => self.failed += 1,
                End::StandsBy => {
                    self.standby.insert(*number, member);
                }
                End::Missing => {}
            }
        }
        match &mut self.held {
            Some(held) if held.batches.len() > 1 => {
                held.batches.pop_front();
            }
            _ => {
                self.end_lease(true);
            }
        }
    }

    /// One that waits has failed by itself; its attempts.
    pub(super) fn tried(&mut self, number: u64) -> u32 {
        self.waiting.get_mut(&number).map_or(0, |member| {
            member.attempts += 1;
            member.attempts
        })
    }

    pub(super) fn left(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.standby.remove(&number);
        self.failed += 1;
        if let Some(held) = &mut self.held {
            held.active.remove(&number);
        }
    }

    /// Those who stood by are asked again, unless somebody who came before one of them is still to be decided.
    pub(super) fn recalled(&mut self) -> u64 {
        let first = self.waiting.keys().next();
        if self.standby.keys().next_back().is_some_and(|last| first.is_some_and(|first| first <= last)) {
            return 0;
        }
        let standby = std::mem::take(&mut self.standby);
        let recalled = standby.len() as u64;
        if let Some(held) = &mut self.held {
            held.has_freed |= recalled > 0;
        }
        self.came_back(standby);
        recalled
    }

    /// Jobs came back to the line, maybe before those at hand.
    pub(super) fn came_back(&mut self, members: BTreeMap<u64, Member>) {
        if let Some(held) = &mut self.held
            && !members.is_empty()
        {
            held.is_closed = true;
        }
        self.waiting.extend(members);
    }
}
