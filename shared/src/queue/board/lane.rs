//! What one process knows of one lane.

use std::collections::{BTreeMap, HashMap};

use super::{Ranks, Rate, Wait};
use crate::domain::{EventId, Outcome, Refusal, SeatId, UserId};
use crate::queue::control::Pause;
use crate::queue::feed::{Change, Done};

/// Outcomes kept in memory per lane and half at most: later questions go to PostgreSQL.
const OUTCOMES_PER_HALF: usize = 200_000;
/// Seconds after which the older half is forgotten.
const HALF_S: u64 = 150;

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Waiting {
        /// How many are ahead + 1.
        place: u64,
        /// How many wait in the lane.
        waiting: u64,
        /// How long it will take.
        wait: Wait,
    },
    /// A worker decides it now.
    Processing,
    /// It waits for a seat to come back.
    StandsBy {
        /// How many stand by ahead of it + 1.
        place: u64,
    },
    /// It has ended.
    Ended(UserId, Outcome),
    /// Nothing is known of it.
    Unknown,
}

/// One lane, as its feed tells it.
#[derive(Debug, Clone)]
pub struct LaneBoard {
    event: EventId,
    waiting: Ranks,
    /// Waiting numbers up to this one are being decided.
    active_upto: u64,
    standby: Ranks,
    named: BTreeMap<u64, Vec<SeatId>>,
    wanted: HashMap<SeatId, u32>,
    /// Seats that nobody who waits has named any more, until somebody takes note of them.
    unwanted: Vec<SeatId>,
    outcomes: [HashMap<u64, (UserId, Outcome)>; 2],
    half_since_s: u64,
    rate: Rate,
    own_pause: Pause,
    whole_pause: Pause,
    /// Rises with every change, so that sockets know when to look.
    version: u64,
}

impl LaneBoard {
    /// A lane of which nothing is known yet.
    pub fn new(event: EventId) -> Self {
        Self {
            event,
            waiting: Ranks::default(),
            active_upto: 0,
            standby: Ranks::default(),
            named: BTreeMap::new(),
            wanted: HashMap::new(),
            unwanted: Vec::new(),
            outcomes: [HashMap::new(), HashMap::new()],
            half_since_s: 0,
            rate: Rate::default(),
            own_pause: Pause::default(),
            whole_pause: Pause::default(),
            version: 0,
        }
    }

    /// Whose lane it is.
    pub fn event(&self) -> EventId {
        self.event
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many wait, those being decided not counted.
    pub fn waiting(&self) -> u64 {
        self.waiting.len() - self.active()
    }

    /// Whether nobody waits or stands by, and the lane has no pause of its own.
    pub fn is_vacant(&self) -> bool {
        self.waiting.is_empty() && self.standby.is_empty() && self.own_pause == Pause::default()
    }

    /// Whether the lane is paused, by itself or with the whole queue, and what those who wait are told.
    pub fn pause(&self) -> &Pause {
        Pause::of_lane(&self.own_pause, &self.whole_pause)
    }

    /// Whether somebody who waits has named this seat.
    pub fn is_wanted(&self, seat: SeatId) -> bool {
        self.wanted.contains_key(&seat)
    }

    /// The seats that somebody who waits has named.
    pub fn wanted(&self) -> impl Iterator<Item = SeatId> + '_ {
        self.wanted.keys().copied()
    }

    /// What is known of a job.
    pub fn state(&self, number: u64) -> JobState {
        if let Some((owner, outcome)) = self.outcomes.iter().find_map(|half| half.get(&number)) {
            return JobState::Ended(*owner, outcome.clone());
        }
        if self.waiting.contains(number) {
            if number <= self.active_upto {
                return JobState::Processing;
            }
            let place = self.waiting.below(number) - self.active() + 1;
            return JobState::Waiting { place, waiting: self.waiting(), wait: self.rate.wait(place) };
        }
        if self.standby.contains(number) {
            return JobState::StandsBy { place: self.standby.below(number) + 1 };
        }
        JobState::Unknown
    }

    /// Whether a worker decides a job now; told in less time than the whole of its state.
    pub fn is_processing(&self, number: u64) -> bool {
        number <= self.active_upto && self.waiting.contains(number)
    }

    /// The first of those who wait, those that a worker decides among them.
    pub fn first_waiting(&self) -> Option<u64> {
        self.waiting.first()
    }

    /// How long somebody at this place waits.
    pub fn wait(&self, place: u64) -> Wait {
        self.rate.wait(place)
    }

    /// Puts what the feed says in. `second` is the time, for the pace.
    pub fn apply(&mut self, change: &Change, second: u64) {
        self.version += 1;
        match change {
            Change::Added { first, count, named } => {
                for number in *first..*first + *count {
                    self.waiting.insert(number);
                }
                for (number, seats) in named {
                    self.want(*number, seats);
                }
            }
            Change::Claimed(upto) => self.active_upto = *upto,
            Change::GivenBack => self.active_upto = 0,
            Change::Done(done) => self.end(done, second),
            Change::Recalled(numbers) => {
                for number in numbers {
                    self.standby.remove(*number);
                    self.waiting.insert(*number);
                }
            }
            Change::Reentered(numbers) => {
                for number in numbers {
                    self.waiting.insert(*number);
                }
            }
            Change::Seats(_) => {}
            Change::Control { pause, is_whole: true } => self.whole_pause = pause.clone(),
            Change::Control { pause, is_whole: false } => self.own_pause = pause.clone(),
        }
    }

    /// Takes a page of the lane in, when a process starts or has missed entries.
    pub fn load(&mut self, number: u64, seats: &[SeatId], is_standby: bool) {
        self.version += 1;
        if is_standby {
            self.standby.insert(number);
        } else {
            self.waiting.insert(number);
            self.want(number, seats);
        }
    }

    /// Forgets who waits, before the lane is loaded anew; outcomes and pace stay.
    pub fn forget_waiting(&mut self) {
        self.waiting = Ranks::default();
        self.active_upto = 0;
        self.standby = Ranks::default();
        self.named.clear();
        self.unwanted.extend(self.wanted.drain().map(|(seat, _)| seat));
        self.version += 1;
    }

    /// The seats that ceased to be wanted since the last call.
    pub fn take_unwanted(&mut self) -> Vec<SeatId> {
        std::mem::take(&mut self.unwanted)
    }

    /// Notes the end of a job that was read from PostgreSQL and not from the feed.
    pub fn note_ended(&mut self, number: u64, owner: UserId, outcome: Outcome, second: u64) {
        self.drop_waiting(number);
        self.standby.remove(number);
        self.note_outcome(number, owner, outcome, second);
    }

    /// Remembers an outcome for some minutes. A job whose owner has left stays so: the batch that had decided it first may be
    /// told of later.
    pub fn note_outcome(&mut self, number: u64, owner: UserId, outcome: Outcome, second: u64) {
        if self.has_left(number) {
            return;
        }
        if self.outcomes[0].len() >= OUTCOMES_PER_HALF {
            self.turn_outcomes(second);
        }
        self.forget_outcomes(second);
        self.outcomes[0].insert(number, (owner, outcome));
    }

    /// Whether a job's owner has left, as far as is remembered.
    pub fn has_left(&self, number: u64) -> bool {
        let left = Outcome::Failed(Refusal::Left);
        self.outcomes.iter().filter_map(|half| half.get(&number)).any(|(_, known)| *known == left)
    }

    /// Forgets the outcomes that have been remembered for long enough.
    pub fn forget_outcomes(&mut self, second: u64) {
        if second > self.half_since_s + HALF_S {
            self.turn_outcomes(second);
        }
    }

    fn turn_outcomes(&mut self, second: u64) {
        let [newer, older] = &mut self.outcomes;
        std::mem::swap(newer, older);
        *newer = HashMap::new();
        self.half_since_s = second;
    }

    fn end(&mut self, done: &Done, second: u64) {
        for number in &done.standby {
            self.drop_waiting(*number);
            self.standby.insert(*number);
        }
        for (number, owner, outcome) in done.outcomes() {
            self.drop_waiting(number);
            self.standby.remove(number);
            self.note_outcome(number, owner, outcome, second);
        }
        if self.active_upto > 0 && self.waiting.below(self.active_upto + 1) == 0 {
            self.active_upto = 0;
        }
        self.rate.note(second, done.decided().count() as u64);
    }

    fn active(&self) -> u64 {
        if self.active_upto == 0 { 0 } else { self.waiting.below(self.active_upto + 1) }
    }

    fn want(&mut self, number: u64, seats: &[SeatId]) {
        if seats.is_empty() || self.named.contains_key(&number) {
            return;
        }
        for seat in seats {
            *self.wanted.entry(*seat).or_default() += 1;
        }
        self.named.insert(number, seats.to_vec());
    }

    fn drop_waiting(&mut self, number: u64) {
        self.waiting.remove(number);
        for seat in self.named.remove(&number).unwrap_or_default() {
            if let Some(count) = self.wanted.get_mut(&seat) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(&seat);
                    self.unwanted.push(seat);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Refusal;

    fn added(first: u64, count: u64) -> Change {
        Change::Added { first, count, named: vec![(first, vec![SeatId(5)])] }
    }

    fn done(numbers: &[u64]) -> Change {
        let mut done = Done::default();
        for number in numbers {
            done.push(*number, UserId(1), &Outcome::Failed(Refusal::SoldOut));
        }
        Change::Done(done)
    }

    fn place(board: &LaneBoard, number: u64) -> Option<u64> {
        match board.state(number) {
            JobState::Waiting { place, .. } => Some(place),
            JobState::Processing | JobState::StandsBy { .. } | JobState::Ended(..) | JobState::Unknown => {
                None
            }
        }
    }

    #[test]
    fn whoever_leaves_or_is_removed_makes_the_line_no_faster_and_no_slower() {
        let mut board = LaneBoard::new(EventId(1));
        board.apply(&added(1, 300), 0);
        board.apply(&done(&(1..=100).collect::<Vec<_>>()), 1);
        let before = board.wait(1_000);
        let mut left = Done::default();
        left.push(101, UserId(1), &Outcome::Failed(Refusal::Left));
        board.apply(&Change::Done(left), 2);
        let mut removed = Done::default();
        for number in 102..=300 {
            removed.push(number, UserId(1), &Outcome::Failed(Refusal::Removed));
        }
        board.apply(&Change::Done(removed), 3);
        assert_eq!((board.wait(1_000), before.usual_s), (before, 10));
    }

    #[test]
    fn place_counts_those_ahead_who_still_wait() {
        let mut board = LaneBoard::new(EventId(1));
        board.apply(&added(10, 5), 0);
        assert_eq!(place(&board, 14), Some(5));
        board.apply(&Change::Claimed(11), 0);
        assert_eq!(board.state(11), JobState::Processing);
        assert_eq!((place(&board, 12), board.waiting()), (Some(1), 3));
        board.apply(&Change::GivenBack, 0);
        assert_eq!(place(&board, 12), Some(3));
        board.apply(&done(&[10, 11]), 0);
        assert_eq!(place(&board, 14), Some(3));
        board.apply(&done(&[13]), 0);
        assert_eq!(place(&board, 14), Some(2));
        assert!(matches!(board.state(10), JobState::Ended(UserId(1), _)));
    }

    #[test]
    fn leaving_during_a_batch_keeps_the_batch_active() {
        let mut board = LaneBoard::new(EventId(1));
        board.apply(&added(10, 5), 0);
        board.apply(&Change::Claimed(11), 0);
        board.apply(&done(&[13]), 0);
        assert_eq!(board.state(11), JobState::Processing);
        assert_eq!(place(&board, 14), Some(2));
    }

    #[test]
    fn named_seats_are_wanted_while_somebody_waits_for_them() {
        let mut board = LaneBoard::new(EventId(1));
        board.apply(&added(10, 1), 0);
        board.apply(&added(11, 1), 0);
        board.apply(&done(&[10]), 0);
        assert!(board.is_wanted(SeatId(5)));
        board.apply(&done(&[11]), 0);
        assert!(!board.is_wanted(SeatId(5)));
    }

    #[test]
    fn entries_told_twice_change_nothing() {
        let mut board = LaneBoard::new(EventId(1));
        for _ in 0..2 {
            board.apply(&added(10, 3), 0);
        }
        assert_eq!(board.waiting(), 3);
        assert_eq!(board.wanted().count(), 1);
        board.apply(&done(&[10]), 0);
        board.apply(&done(&[10]), 0);
        assert_eq!((board.waiting(), board.wanted().count()), (2, 0));
    }
}
