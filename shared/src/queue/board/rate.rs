//! How fast a lane goes, measured, and the wait that follows.

use std::collections::VecDeque;

/// Seconds that are remembered.
const WINDOW_S: u64 = 60;
/// Until something was measured: what one worker does at least with one shopper a batch.
const FIRST_GUESS: f64 = 200.0;

/// Jobs decided per second, over the last minute in which any were.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    seconds: VecDeque<(u64, u64)>,
    /// At p75, p50 and p25 of them, kept because everybody who waits asks for it; `None` until something was measured.
    paces: Option<[f64; 3]>,
}

/// An estimated wait, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// At the pace of a good second (p75).
    pub min_s: u64,
    /// At the usual pace (p50).
    pub usual_s: u64,
    /// At the pace of a poor second (p25).
    pub max_s: u64,
}

impl Rate {
    /// Notes that so many jobs were decided in this second.
    pub fn note(&mut self, second: u64, decided: u64) {
        // Who leaves during a pause is no reason to forget the pace of before.
        if decided == 0 {
            return;
        }
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += decided,
            _ => self.seconds.push_back((second, decided)),
        }
        while self.seconds.front().is_some_and(|(first, _)| first + WINDOW_S < second) {
            self.seconds.pop_front();
        }
        let mut counts: Vec<u64> = self.seconds.iter().map(|(_, count)| *count).collect();
        counts.sort_unstable();
        self.paces = Some([75, 50, 25].map(|percent| {
            let at = (counts.len() * percent / 100).min(counts.len().saturating_sub(1));
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            counts.get(at).map_or(FIRST_GUESS, |count| *count as f64)
        }));
    }

    /// How long somebody at this place waits.
    pub fn wait(&self, place: u64) -> Wait {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, never negative"
        )]
        let seconds = |pace: f64| (place as f64 / pace).ceil() as u64;
        let [good, usual, poor] = self.paces.unwrap_or([FIRST_GUESS; 3]);
        Wait { min_s: seconds(good), usual_s: seconds(usual), max_s: seconds(poor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_follows_the_measured_pace() {
        let mut rate = Rate::default();
        for (second, decided) in [(1, 100), (2, 200), (3, 300), (4, 400)] {
            rate.note(second, decided);
        }
        assert_eq!(rate.wait(1_200), Wait { min_s: 3, usual_s: 4, max_s: 6 });
    }

    #[test]
    fn old_seconds_are_forgotten() {
        let mut rate = Rate::default();
        rate.note(1, 1);
        rate.note(100, 1_000);
        assert_eq!(rate.wait(1_000).usual_s, 1);
    }
}
