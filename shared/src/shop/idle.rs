//! What a gateway forgets: the seats of lanes that nobody has asked for lately, and the lanes that nobody is in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use super::lanes::now_s;
use super::{Lane, Lanes, LiveSeats};
use crate::domain::EventId;

/// Between one look and the next.
const LOOK: Duration = Duration::from_mins(1);
/// Seconds for which a lane that nobody asks for is kept.
const IDLE_S: u64 = 600;
/// Lanes forgotten in one look at most.
const AT_ONCE: usize = 1_000;

impl Lanes {
    /// Forgets what nobody needs, again and again.
    pub(super) async fn forget_idle(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let (lanes, versions) = self.kept();
            let all: Vec<Arc<Lane>> = lanes.read().values().cloned().collect();
            for lane in all {
                lane.board.write().forget_outcomes(now_s());
            }
            let forgotten = forget(lanes, versions, now_s().saturating_sub(IDLE_S));
            if !forgotten.is_empty() {
                tracing::debug!("{} lanes or their seats are not kept in memory any more", forgotten.len());
            }
        }
    }
}

/// What was forgotten: the seats of a lane, the lane, or both.
type Forgotten = (Option<LiveSeats>, Option<Arc<Lane>>);

/// Forgets what nobody has asked for since a second, and gives it back, so that it is freed with nothing locked.
fn forget(lanes: &RwLock<HashMap<EventId, Arc<Lane>>>, versions: &AtomicU64, second: u64) -> Vec<Forgotten> {
    let idle: Vec<Arc<Lane>> =
        lanes.read().values().filter(|lane| lane.is_idle_since(second)).cloned().collect();
    let needless = idle.iter().filter(|lane| lane.is_vacant() || lane.seats.read().is_some());
    let events: Vec<EventId> = needless.map(|lane| lane.event).take(AT_ONCE).collect();
    drop(idle);
    let mut forgotten = Vec::new();
    for event in events {
        let mut kept = lanes.write();
        // Whoever uses a lane has got it from here, and nobody gets one meanwhile: what is in use stays.
        let is_unused = |lane: &&Arc<Lane>| Arc::strong_count(lane) == 1 && lane.is_idle_since(second);
        let Some(lane) = kept.get(&event).filter(is_unused) else { continue };
        let seats = lane.seats.write().take();
        // Read again they must not get a version that has been told for other ones.
        versions.fetch_max(seats.as_ref().map_or(0, |seats| seats.version() + 1), Ordering::Relaxed);
        let gone = if lane.is_vacant() { kept.remove(&event) } else { None };
        forgotten.push((seats, gone));
    }
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::control::Pause;
    use crate::queue::feed::Change;

    fn known(event: EventId, change: Option<&Change>) -> (EventId, Arc<Lane>) {
        let lane = Lane::new(event);
        if let Some(change) = change {
            lane.board.write().apply(change, 0);
        }
        (event, Arc::new(lane))
    }

    #[test]
    fn a_lane_is_forgotten_when_nobody_is_in_it_uses_it_or_has_asked_for_it() {
        let waits = Change::Added { first: 7, count: 1, named: Vec::new() };
        let pause = Pause { paused: true, message: String::new() };
        let whole = Change::Control { pause: pause.clone(), is_whole: true };
        let own = Change::Control { pause, is_whole: false };
        let [empty, waited_in, paused, used] = [1, 2, 3, 4].map(EventId);
        let lanes = RwLock::new(HashMap::from([
            known(empty, Some(&whole)),
            known(waited_in, Some(&waits)),
            known(paused, Some(&own)),
            known(used, None),
        ]));
        let versions = AtomicU64::new(1);
        assert!(forget(&lanes, &versions, now_s() - 1).is_empty());
        assert_eq!(lanes.read().len(), 4, "each was asked for just now");
        let user = lanes.read().get(&used).cloned();
        forget(&lanes, &versions, now_s() + 1);
        let mut left: Vec<EventId> = lanes.read().keys().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [waited_in, paused, used]);
        drop(user);
        forget(&lanes, &versions, now_s() + 1);
        assert!(!lanes.read().contains_key(&used));
    }
}
