//! What is kept of an event from one run on its lane to the next.

use std::time::{Duration, Instant};

use super::plan::Belief;

/// What is believed of an event is good for this long without a look; hints of freed places are kept for an hour.
const BELIEF: Duration = Duration::from_mins(10);

/// What is believed of an event, and how it went the last time.
pub(super) struct Kept {
    /// Put back after success only: a batch that is cut short leaves no half belief behind.
    pub(super) belief: Option<Belief>,
    /// Batches that could not be decided since one was.
    pub(super) failures: u32,
    tried: Instant,
}

impl Default for Kept {
    fn default() -> Self {
        Self { belief: None, failures: 0, tried: Instant::now() }
    }
}

impl Kept {
    /// What a run begins with. It counts as failed until it tells how it ended, as one that is cut short tells nothing.
    pub(super) fn begin(&mut self) -> (Option<Belief>, u32) {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        self.tried = Instant::now();
        (self.belief.take().filter(|belief| belief.looked.elapsed() < BELIEF), failures)
    }

    /// Nobody has booked for a while.
    pub(super) fn is_idle(&self) -> bool {
        self.tried.elapsed() >= BELIEF
    }
}

/// A rest after so many failures before the last one: `first`, twice as long each time, up to `longest`.
pub(super) fn growing(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1u32 << failures.min(10)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::super::LONGEST_REST_OF_LANE;
    use super::*;

    #[test]
    fn a_lane_whose_store_is_away_rests_longer_each_time_up_to_two_seconds() {
        let mut kept = Kept::default();
        let rest = |kept: &mut Kept| {
            let (_, failures) = kept.begin();
            growing(Duration::from_millis(250), failures, LONGEST_REST_OF_LANE).as_millis()
        };
        for rest_ms in [250, 500, 1_000, 2_000, 2_000] {
            assert_eq!(rest(&mut kept), rest_ms);
        }
        kept.failures = u32::MAX;
        assert_eq!(rest(&mut kept), 2_000);
        kept.failures = 0;
        assert_eq!(rest(&mut kept), 250, "something was decided");
    }
}
