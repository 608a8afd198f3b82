//! What came back, and how fast.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

use crate::report::float;

/// The longest latency that is told apart, in µs.
const LONGEST_US: u64 = 60_000_000;
/// Refusals that are kept word by word.
const SAMPLES: usize = 3;

/// What one run of load brought back.
#[derive(Debug, Clone)]
pub struct Tally {
    /// From when a request was due to its answer, in µs.
    pub latency: Histogram<u64>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that got no answer, by what became of them.
    pub failures: BTreeMap<&'static str, u64>,
    /// Request and body of each good answer, where they were asked for.
    pub bodies: Vec<(u64, Box<[u8]>)>,
    /// Some answers that were no success.
    pub samples: Vec<String>,
    /// Answers after the warm-up.
    pub counted: u64,
    /// How long they were counted.
    pub counted_for: Duration,
    /// From the beginning to the last answer.
    pub last: Duration,
}

/// An empty histogram for latencies in µs.
#[expect(clippy::missing_panics_doc, reason = "the bounds are constants")]
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("bounds that make sense")
}

/// A quantile in ms.
pub fn quantile_ms(latency: &Histogram<u64>, quantile: f64) -> f64 {
    float(latency.value_at_quantile(quantile)) / 1_000.0
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latency: latencies(),
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            bodies: Vec::new(),
            samples: Vec::new(),
            counted: 0,
            counted_for: Duration::ZERO,
            last: Duration::ZERO,
        }
    }
}

impl Tally {
    /// Adds an answer that took `latency`, `since_start` after the beginning.
    pub(super) fn add(&mut self, status: u16, latency: Duration, since_start: Duration) {
        self.latency.saturating_record(micros(latency).max(1));
        *self.statuses.entry(status).or_default() += 1;
        self.last = self.last.max(since_start);
    }

    /// Keeps a refusal to show.
    pub(super) fn sample(&mut self, status: u16, body: &[u8]) {
        if self.samples.len() < SAMPLES {
            let body = String::from_utf8_lossy(body);
            self.samples.push(format!("{status}: {}", body.chars().take(200).collect::<String>()));
        }
    }

    /// Adds what another thread brought back.
    pub(super) fn merge(&mut self, other: Self) {
        // Both have the same bounds, so that it cannot fail.
        let _ = self.latency.add(other.latency);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (why, count) in other.failures {
            *self.failures.entry(why).or_default() += count;
        }
        self.bodies.extend(other.bodies);
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES);
        self.counted += other.counted;
        self.counted_for = self.counted_for.max(other.counted_for);
        self.last = self.last.max(other.last);
    }

    /// Adds what a later run brought back.
    pub fn append(&mut self, later: Self) {
        let counted_for = self.counted_for + later.counted_for;
        self.merge(later);
        self.counted_for = counted_for;
    }

    /// The same as the limit that others are held against, which no answer may be missing of.
    ///
    /// # Errors
    /// One is.
    pub fn as_limit(self) -> Result<Self> {
        ensure!(self.errors() == 0, "the limit could not be measured: {}", self.complaints());
        Ok(self)
    }

    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        if self.counted_for.is_zero() { 0.0 } else { float(self.counted) / self.counted_for.as_secs_f64() }
    }

    /// A quantile of the latency in ms.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        quantile_ms(&self.latency, quantile)
    }

    /// Good answers.
    pub fn good(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| (200..300).contains(*status)).map(|(_, count)| count).sum()
    }

    /// Requests without a good answer.
    pub fn errors(&self) -> u64 {
        let refused: u64 = self
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(_, count)| count)
            .sum();
        refused + self.failures.values().sum::<u64>()
    }

    /// What went wrong, in words; empty when nothing did.
    pub fn complaints(&self) -> String {
        let statuses = self.statuses.iter().filter(|(status, _)| !(200..300).contains(*status));
        let statuses = statuses.map(|(status, count)| format!("{count} × {status}"));
        let failures = self.failures.iter().map(|(why, count)| format!("{count} × {why}"));
        let mut parts: Vec<String> = statuses.chain(failures).collect();
        if let Some(sample) = self.samples.first() {
            parts.push(format!("such as {sample}"));
        }
        parts.join(", ")
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
