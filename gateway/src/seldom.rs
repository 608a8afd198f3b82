//! Log lines that every request would write.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between one line and the next.
const PAUSE: Duration = Duration::from_secs(1);

/// A line that is written once a second at most, or once in a pause of its own.
pub struct Seldom {
    pause: Duration,
    since: Mutex<Since>,
}

struct Since {
    written: Option<Instant>,
    unwritten: u64,
}

impl Seldom {
    /// Never written yet.
    pub const fn new() -> Self {
        Self::every(PAUSE)
    }

    /// Never written yet, and once in this time at most.
    pub const fn every(pause: Duration) -> Self {
        Self { pause, since: Mutex::new(Since { written: None, unwritten: 0 }) }
    }

    /// For how many the line stands when it is written now; `None` when it is too early.
    pub fn stands_for(&self, now: Instant) -> Option<u64> {
        let mut since = self.since.lock();
        since.unwritten += 1;
        if since.written.is_some_and(|written| now.saturating_duration_since(written) < self.pause) {
            return None;
        }
        since.written = Some(now);
        Some(std::mem::take(&mut since.unwritten))
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_a_second_and_stands_for_those_in_between() {
        let (line, start) = (Seldom::new(), Instant::now());
        assert_eq!(line.stands_for(start), Some(1));
        for _ in 0..1_000 {
            assert_eq!(line.stands_for(start + PAUSE / 2), None);
        }
        assert_eq!(line.stands_for(start + PAUSE), Some(1_001));
        assert_eq!(line.stands_for(start + PAUSE), None);
    }

    #[test]
    fn a_line_may_have_a_longer_pause_of_its_own() {
        let (pause, start) = (Duration::from_mins(1), Instant::now());
        let line = Seldom::every(pause);
        assert_eq!(line.stands_for(start), Some(1));
        assert_eq!(line.stands_for(start + PAUSE), None);
        assert_eq!(line.stands_for(start + Duration::from_secs(59)), None);
        assert_eq!(line.stands_for(start + pause), Some(3));
    }
}
