//! A circuit breaker: a provider that does not answer is left alone for a while, so that nobody waits for it.
//!
//! Its state is this process's own and only saves waiting, so it goes by the process's steady clock.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

/// How a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// Calls are refused at once.
    Open,
    /// The wait is over; one call is tried.
    HalfOpen,
}

/// How the circuit before a provider stands, in one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CircuitStatus {
    /// Which provider.
    pub provider: &'static str,
    /// Whether calls go through.
    pub state: CircuitState,
    /// Calls without an answer, one after the other, so far.
    pub failures: u32,
    /// When it opened last, unless it is closed.
    pub opened_at: Option<DateTime<Utc>>,
    /// Seconds until a call is tried, while it is open.
    pub retry_after: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Opened {
    since: Instant,
    at: DateTime<Utc>,
    is_tried: bool,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    opened: Option<Opened>,
    /// Raised when the circuit opens or closes: what was begun before says nothing about what is now.
    era: u64,
}

/// Lets calls through until too many failed in a row; then one at a time, after a wait.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    wait: Duration,
    inner: Mutex<Inner>,
}

/// A call that was let through. Dropped without an end (its caller went away) it counts as nothing.
#[derive(Debug)]
pub struct Call<'a> {
    breaker: &'a Breaker,
    era: u64,
    is_trial: bool,
}

impl Breaker {
    /// Opens after so many failures in a row, and tries again after `wait`.
    pub fn new(threshold: u32, wait: Duration) -> Self {
        Self { threshold, wait, inner: Mutex::default() }
    }

    /// Lets a call through, or not.
    pub fn admit(&self, now: Instant) -> Option<Call<'_>> {
        let mut inner = self.inner.lock();
        let era = inner.era;
        let Some(opened) = &mut inner.opened else {
            return Some(Call { breaker: self, era, is_trial: false });
        };
        if opened.is_tried || now.saturating_duration_since(opened.since) < self.wait {
            return None;
        }
        opened.is_tried = true;
        Some(Call { breaker: self, era, is_trial: true })
    }

    /// How it stands.
    pub fn status(&self, provider: &'static str, now: Instant) -> CircuitStatus {
        let inner = self.inner.lock();
        let left =
            inner.opened.map(|opened| self.wait.saturating_sub(now.saturating_duration_since(opened.since)));
        let state = match left {
            None => CircuitState::Closed,
            Some(left) if left.is_zero() => CircuitState::HalfOpen,
            Some(_) => CircuitState::Open,
        };
        CircuitStatus {
            provider,
            state,
            failures: inner.failures,
            opened_at: inner.opened.map(|opened| opened.at),
            retry_after: left.filter(|left| !left.is_zero()).map(|left| left.as_secs() + 1),
        }
    }
}

impl Call<'_> {
    /// The provider answered, whatever it said.
    pub fn answered(self) {
        let mut inner = self.breaker.inner.lock();
        if inner.era == self.era {
            inner.failures = 0;
            if inner.opened.take().is_some() {
                inner.era += 1;
            }
        }
    }

    /// The provider did not answer. Whether this opened the circuit.
    pub fn failed(self, now: Instant) -> bool {
        let mut inner = self.breaker.inner.lock();
        if inner.era != self.era {
            return false;
        }
        inner.failures = inner.failures.saturating_add(1);
        let does_open = self.is_trial || inner.failures >= self.breaker.threshold;
        if does_open {
            inner.era += 1;
            inner.opened = Some(Opened { since: now, at: Utc::now(), is_tried: false });
        }
        does_open
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.is_trial {
            return;
        }
        let mut inner = self.breaker.inner.lock();
        if inner.era == self.era
            && let Some(opened) = &mut inner.opened
        {
            opened.is_tried = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_secs(30);
    const ALMOST: Duration = Duration::from_millis(29_999);

    fn opened(threshold: u32, now: Instant) -> Breaker {
        let breaker = Breaker::new(threshold, WAIT);
        for nth in 1..=threshold {
            let does_open = breaker.admit(now).expect("closed").failed(now);
            assert_eq!(does_open, nth == threshold);
        }
        breaker
    }

    fn state(breaker: &Breaker, now: Instant) -> CircuitState {
        breaker.status("sandbox", now).state
    }

    #[test]
    fn circuit_opens_after_failures_in_a_row_and_refuses_at_once() {
        let now = Instant::now();
        let breaker = opened(5, now);
        assert!(breaker.admit(now + ALMOST).is_none());
        let status = breaker.status("sandbox", now + Duration::from_secs(10));
        assert_eq!((status.state, status.failures, status.retry_after), (CircuitState::Open, 5, Some(21)));
        assert!(status.opened_at.is_some());
    }

    #[test]
    fn an_answer_in_between_counts_from_nothing() {
        let now = Instant::now();
        let breaker = Breaker::new(2, WAIT);
        for _ in 0..10 {
            assert!(!breaker.admit(now).expect("closed").failed(now));
            breaker.admit(now).expect("closed").answered();
        }
        assert_eq!(state(&breaker, now), CircuitState::Closed);
    }

    #[test]
    fn one_call_is_tried_after_the_wait_and_closes_or_opens_it() {
        let now = Instant::now();
        let breaker = opened(3, now);
        let later = now + WAIT;
        let trial = breaker.admit(later).expect("the trial");
        assert!(breaker.admit(later).is_none(), "a second trial");
        assert_eq!(state(&breaker, later), CircuitState::HalfOpen);
        assert!(trial.failed(later), "it opens anew");
        assert!(breaker.admit(later + ALMOST).is_none());
        breaker.admit(later + WAIT).expect("the next trial").answered();
        assert_eq!(state(&breaker, later + WAIT), CircuitState::Closed);
        assert!(breaker.admit(later + WAIT).is_some());
    }

    #[test]
    fn trial_whose_caller_went_away_makes_room_for_another() {
        let now = Instant::now();
        let breaker = opened(1, now);
        drop(breaker.admit(now + WAIT).expect("the trial"));
        assert!(breaker.admit(now + WAIT).is_some());
    }

    #[test]
    fn calls_begun_before_it_opened_neither_close_it_nor_make_it_wait_longer() {
        let now = Instant::now();
        let breaker = Breaker::new(1, WAIT);
        let (slow, slower) = (breaker.admit(now).expect("closed"), breaker.admit(now).expect("closed"));
        assert!(breaker.admit(now).expect("closed").failed(now));
        slow.answered();
        assert_eq!(state(&breaker, now), CircuitState::Open);
        assert!(!slower.failed(now + Duration::from_secs(20)));
        assert!(breaker.admit(now + WAIT).is_some());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Begin,
        Answer(usize),
        Fail(usize),
        Leave(usize),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Begin),
            1 => (0usize..8).prop_map(Step::Answer),
            4 => (0usize..8).prop_map(Step::Fail),
            1 => (0usize..8).prop_map(Step::Leave),
            2 => (1u64..40).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn whatever_happens_no_more_than_one_trial_runs_and_an_open_circuit_refuses(steps in steps(), threshold in 1u32..6) {
            let breaker = Breaker::new(threshold, WAIT);
            let mut now = Instant::now();
            let mut running: Vec<Call<'_>> = Vec::new();
            for step in steps {
                let before = breaker.status("sandbox", now);
                match step {
                    Step::Begin => {
                        let admitted = breaker.admit(now);
                        match before.state {
                            CircuitState::Closed => prop_assert!(admitted.is_some()),
                            CircuitState::Open => prop_assert!(admitted.is_none()),
                            CircuitState::HalfOpen => {}
                        }
                        running.extend(admitted);
                    }
                    Step::Answer(nth) if nth < running.len() => running.swap_remove(nth).answered(),
                    Step::Fail(nth) if nth < running.len() => {
                        let does_open = running.swap_remove(nth).failed(now);
                        if does_open {
                            prop_assert_eq!(state(&breaker, now), CircuitState::Open);
                        }
                    }
                    Step::Leave(nth) if nth < running.len() => drop(running.swap_remove(nth)),
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Answer(_) | Step::Fail(_) | Step::Leave(_) => {}
                }
                let era = breaker.inner.lock().era;
                prop_assert!(running.iter().filter(|call| call.is_trial && call.era == era).count() <= 1);
                let after = breaker.status("sandbox", now);
                prop_assert!(after.state != CircuitState::Closed || after.failures < threshold);
            }
            // Left alone for long enough it always lets somebody try.
            running.clear();
            prop_assert!(breaker.admit(now + WAIT).is_some());
        }
    }
}
