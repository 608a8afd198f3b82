//! Who works now, and who comes next.

use tokio::sync::{Mutex, MutexGuard};

/// What ticks share, for one of them at a time. One more may wait for the end of it, so that a tick that overruns is
/// followed at once and not by the tick after the next; all others go.
#[derive(Debug, Default)]
pub(crate) struct Turns<S> {
    state: Mutex<S>,
    /// Held by the one that waits.
    next: Mutex<()>,
}

impl<S> Turns<S> {
    /// The state, when nobody has it any more; `None` at once where somebody waits already.
    pub(crate) async fn take(&self) -> Option<MutexGuard<'_, S>> {
        let next = self.next.try_lock().ok()?;
        let state = self.state.lock().await;
        drop(next);
        Some(state)
    }

    /// The state after whoever has it or waits for it.
    pub(crate) async fn last(&self) -> MutexGuard<'_, S> {
        self.state.lock().await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_tick_that_overruns_is_followed_at_once_by_one_and_no_more() {
        let turns = Turns::<u32>::default();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(overrunning)) = pin!(turns.take()).poll(&mut context) else {
            panic!("nobody works yet");
        };
        let mut second = pin!(turns.take());
        assert!(second.as_mut().poll(&mut context).is_pending(), "the next one waits");
        let third = pin!(turns.take()).poll(&mut context);
        assert!(matches!(third, Poll::Ready(None)), "one waits already");
        drop(overrunning);
        let Poll::Ready(Some(following)) = second.as_mut().poll(&mut context) else {
            panic!("it follows at once");
        };
        let mut fourth = pin!(turns.take());
        assert!(fourth.as_mut().poll(&mut context).is_pending(), "another one may wait for this one");
        drop(following);
        assert!(matches!(fourth.as_mut().poll(&mut context), Poll::Ready(Some(_))));
    }
}
