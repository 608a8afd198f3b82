//! How many calls shops make, so that a shop can see whether it keeps to its rate.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

/// Any span of time as long as this is looked at.
const SPAN: Duration = Duration::from_secs(1);

/// Calls since they were last forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// All of them.
    pub total: u64,
    /// Those in the busiest second, wherever it begins.
    pub busiest_second: usize,
}

#[derive(Debug, Default)]
struct Inner {
    calls: Calls,
    /// Those of the last second.
    recent: VecDeque<Instant>,
}

/// Counts calls.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Inner>);

impl Meter {
    /// Counts one that comes now.
    pub fn count(&self) {
        let mut inner = self.0.lock();
        // Under the lock, so that they stand in their order.
        inner.count(Instant::now());
    }

    /// What was counted.
    pub fn calls(&self) -> Calls {
        self.0.lock().calls
    }

    /// Begins anew.
    pub fn forget(&self) {
        *self.0.lock() = Inner::default();
    }
}

impl Inner {
    fn count(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= SPAN) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.calls.total += 1;
        self.calls.busiest_second = self.calls.busiest_second.max(self.recent.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busiest_second_is_found_wherever_it_begins() {
        let mut inner = Inner::default();
        let begin = Instant::now();
        // Four of them lie within a second that begins in the middle of one.
        for ms in [0, 600, 900, 1_100, 1_599, 2_900] {
            inner.count(begin + Duration::from_millis(ms));
        }
        assert_eq!(inner.calls, Calls { total: 6, busiest_second: 4 });
        assert_eq!(inner.recent.len(), 1, "only the last second is kept");
    }

    #[test]
    fn figures_begin_anew_when_they_are_forgotten() {
        let meter = Meter::default();
        meter.count();
        meter.count();
        assert_eq!(meter.calls(), Calls { total: 2, busiest_second: 2 });
        meter.forget();
        assert_eq!(meter.calls(), Calls::default());
    }
}
