//! How long a connection may take to send the head of a request.
//!
//! hyper asks its timer for a new alarm with every request. One of the runtime's is put into a wheel and taken out of it
//! again under a lock that all requests share; here each connection has one alarm for its whole life, to set it costs a
//! store to memory, and one task looks at all of them now and then.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// From one look at the alarms to the next: an alarm may be late by so much.
const STEP: Duration = Duration::from_millis(250);
/// An alarm that is not set.
const NEVER: u64 = u64::MAX;

/// The alarms of all connections.
pub struct HeadTimers {
    clock: Arc<Clock>,
    alarms: Arc<Mutex<Vec<Weak<Alarm>>>>,
}

/// The time, as of the last look.
struct Clock {
    started: Instant,
    now_ms: AtomicU64,
}

/// One connection's alarm.
struct Alarm {
    clock: Arc<Clock>,
    due_ms: AtomicU64,
    waker: AtomicWaker,
}

/// The timer of one connection, which waits for one thing at a time.
pub struct HeadTimer(Arc<Alarm>);

/// An alarm that was set; it is not any more when this is dropped.
struct Set(Arc<Alarm>);

impl HeadTimers {
    /// Starts to look; until the last connection has ended and this is dropped.
    pub fn start() -> Self {
        let clock = Arc::new(Clock { started: Instant::now(), now_ms: AtomicU64::new(0) });
        let alarms = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(look(Arc::downgrade(&clock), Arc::downgrade(&alarms)));
        Self { clock, alarms }
    }

    /// A timer for a new connection.
    pub fn timer(&self) -> HeadTimer {
        let alarm = Alarm {
            clock: Arc::clone(&self.clock),
            due_ms: AtomicU64::new(NEVER),
            waker: AtomicWaker::new(),
        };
        let alarm = Arc::new(alarm);
        self.alarms.lock().push(Arc::downgrade(&alarm));
        HeadTimer(alarm)
    }
}

async fn look(clock: Weak<Clock>, alarms: Weak<Mutex<Vec<Weak<Alarm>>>>) {
    loop {
        tokio::time::sleep(STEP).await;
        let (Some(clock), Some(alarms)) = (clock.upgrade(), alarms.upgrade()) else { return };
        clock.now_ms.store(ms(clock.started.elapsed()), Ordering::Release);
        alarms.lock().retain(|alarm| {
            let Some(alarm) = alarm.upgrade() else { return false };
            if alarm.is_due() {
                alarm.waker.wake();
            }
            true
        });
    }
}

impl Alarm {
    fn is_due(&self) -> bool {
        self.due_ms.load(Ordering::Acquire) <= self.clock.now_ms.load(Ordering::Acquire)
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let due = deadline.saturating_duration_since(self.0.clock.started);
        self.0.due_ms.store(ms(due), Ordering::Release);
        Box::pin(Set(Arc::clone(&self.0)))
    }

    fn now(&self) -> Instant {
        let clock = &self.0.clock;
        clock.started + Duration::from_millis(clock.now_ms.load(Ordering::Acquire))
    }
}

impl Sleep for Set {}

impl Future for Set {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.is_due() {
            // Before the second look, so that none is missed in between.
            self.0.waker.register(cx.waker());
            if !self.0.is_due() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.0.due_ms.store(NEVER, Ordering::Release);
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_goes_off_once_it_is_due_and_one_that_was_dropped_does_not() {
        let timers = HeadTimers::start();
        let (first, second) = (timers.timer(), timers.timer());
        let began = Instant::now();
        drop(second.sleep(Duration::ZERO));
        assert!(!second.0.is_due(), "nobody waits for it any more");
        first.sleep(Duration::from_millis(300)).await;
        // It is counted from the last look, which may be one step back.
        assert!(began.elapsed() >= Duration::from_millis(50));
        assert!(tokio::time::timeout(Duration::from_secs(5), second.sleep(STEP)).await.is_ok());
    }

    #[tokio::test]
    async fn connections_that_have_ended_are_forgotten() {
        let timers = HeadTimers::start();
        let kept = timers.timer();
        drop(timers.timer());
        kept.sleep(STEP).await;
        assert_eq!(timers.alarms.lock().len(), 1);
    }
}
