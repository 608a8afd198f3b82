//! How fast the queue goes, as this gateway hears it from the feeds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back it looks.
const WINDOW: Duration = Duration::from_mins(1);
/// Batches remembered at most.
const BATCHES: usize = 10_000;

/// The last minute.
#[derive(Debug, Default)]
pub(super) struct PaceWindow {
    batches: VecDeque<(Instant, Duration, u64)>,
}

/// Figures of the last minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// From claim to settlement, of half of the batches.
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
