//! How fast the queue goes, as this gateway hears it from the feeds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back it looks.
const WINDOW: Duration = Duration::from_mins(1);
/// Batches remembered at most.
const BATCHES: usize = 10_000;

/// Claims of a lane that are remembered: a worker has two batches at hand, and a lane has one worker.
const CLAIMS: usize = 4;

/// When the jobs of a lane that are being decided were claimed.
#[derive(Debug, Default)]
pub(super) struct Claims(VecDeque<(u64, Instant)>);

impl Claims {
    /// Everybody up to this number was claimed now.
    pub(super) fn note(&mut self, upto: u64) {
        // A claim of as low a number is of those who came back: the ones before it are over.
        self.0.retain(|(before, _)| *before < upto);
        if self.0.len() >= CLAIMS {
            self.0.pop_front();
        }
        self.0.push_back((upto, Instant::now()));
    }

    /// Those that were claimed wait again.
    pub(super) fn given_back(&mut self) {
        self.0.clear();
    }

    /// How long ago the batch was claimed that this number, the last of a part of it, belongs to. Those claimed before it
    /// are over, and so is it with its own last number.
    pub(super) fn took(&mut self, number: u64) -> Option<Duration> {
        let nth = self.0.iter().position(|(upto, _)| number <= *upto)?;
        self.0.drain(..nth);
        let (upto, claimed) = *self.0.front()?;
        if number == upto {
            self.0.pop_front();
        }
        Some(claimed.elapsed())
    }

    /// Whether the last one is longer ago than this.
    pub(super) fn are_over(&self, after: Duration) -> bool {
        self.0.back().is_none_or(|(_, claimed)| claimed.elapsed() > after)
    }
}

/// The last minute.
#[derive(Debug, Default)]
pub(super) struct PaceWindow {
    batches: VecDeque<(Instant, Duration, u64)>,
}

/// Figures of the last minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// From claim to settlement, of half of the parts in which batches are told.
    pub p50_ms: f64,
    /// Of 95 in 100.
    pub p95_ms: f64,
    /// Jobs that ended.
    pub jobs_per_second: f64,
}

impl PaceWindow {
    pub(super) fn note(&mut self, took: Duration, jobs: u64) {
        let now = Instant::now();
        self.batches.push_back((now, took, jobs));
        let is_old = |(at, ..): &(Instant, Duration, u64)| now.duration_since(*at) > WINDOW;
        while self.batches.front().is_some_and(is_old) || self.batches.len() > BATCHES {
            self.batches.pop_front();
        }
    }

    pub(super) fn figures(&self) -> Pace {
        let recent = self.batches.iter().filter(|(at, ..)| at.elapsed() <= WINDOW);
        let mut took: Vec<f64> = recent.clone().map(|(_, took, _)| took.as_secs_f64() * 1_000.0).collect();
        took.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
        let jobs: u64 = recent.clone().map(|(.., jobs)| jobs).sum();
        let first = recent.map(|(at, ..)| at.elapsed()).max().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let jobs_per_second = jobs as f64 / first.as_secs_f64().max(1.0);
        Pace {
            p50_ms: at(50).copied().unwrap_or_default(),
            p95_ms: at(95).copied().unwrap_or_default(),
            jobs_per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_measured_from_the_claim_of_its_own_batch() {
        let mut claims = Claims::default();
        assert_eq!(claims.took(5), None, "when it was claimed is not known");
        claims.note(100);
        claims.note(200);
        assert!(claims.took(50).is_some());
        assert!(claims.took(150).is_some(), "the first one is over");
        assert_eq!(claims.0.len(), 1);
        assert!(claims.took(200).is_some());
        assert_eq!(claims.took(5), None, "with its last number a batch is over");
        claims.note(300);
        claims.note(5);
        assert_eq!(claims.0.len(), 1, "those who came back were claimed after all the others");
        claims.given_back();
        assert_eq!(claims.took(5), None);
        for upto in 1..=20 {
            claims.note(upto);
        }
        assert_eq!(claims.0.len(), CLAIMS);
    }
}
