//! What everybody was told, and whether two were told the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

/// A seat, or a slot of an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    Seat(i64),
    Slot(i64, i64),
}

impl Place {
    /// Reads a place of a result or a cart.
    pub(super) fn read(place: &Value) -> Option<Self> {
        let id = |name: &str| place.get(name).and_then(Value::as_i64);
        match (id("seatId"), id("areaId"), id("slot")) {
            (Some(seat), ..) => Some(Self::Seat(seat)),
            (None, Some(area), Some(slot)) => Some(Self::Slot(area, slot)),
            _ => None,
        }
    }
}

/// How the crowd fared.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Shoppers who won places, and how many.
    pub(super) reserved: u64,
    pub(super) places: u64,
    /// Shoppers who got a "no", by its code.
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) left: u64,
    /// Places given back one by one, and bookings cancelled.
    pub(super) released: u64,
    pub(super) cancelled: u64,
    /// Bookings of which a socket told that they expired.
    pub(super) expired: u64,
    /// Shoppers who let their cart be, while its hold ran on.
    pub(super) walked_away: u64,
    /// Shoppers whose time was over before their turn.
    pub(super) still_waiting: u64,
    /// Shoppers who met an error and gave up.
    pub(super) gave_up: u64,
    /// Messages on sockets.
    pub(super) messages: u64,
    /// Requests sent twice under one key, and how many of them were given another job.
    pub(super) refreshed: u64,
    pub(super) other_job: u64,
    /// Carts that did not hold what their shopper was told.
    pub(super) other_cart: u64,
}

/// Somebody who was told that a place is theirs. It was at least from then until they gave it back.
#[derive(Debug, Clone, Copy)]
struct Holding {
    from: Instant,
    until: Instant,
    shopper: usize,
}

/// What everybody was told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    holdings: HashMap<Place, Vec<Holding>>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the counts.
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    /// The counts.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Somebody was told that these places are theirs, until their time is over.
    pub(super) fn won(&self, shopper: usize, places: &[Place], at: Instant, over: Instant) {
        let mut inner = self.lock();
        inner.counts.reserved += 1;
        inner.counts.places += places.len() as u64;
        for place in places {
            inner.holdings.entry(*place).or_default().push(Holding { from: at, until: over, shopper });
        }
    }

    /// From now on a place may be somebody else's. To be called before it is given back.
    pub(super) fn gives_back(&self, shopper: usize, places: &[Place], at: Instant) {
        let mut inner = self.lock();
        for place in places {
            for holding in inner.holdings.get_mut(place).into_iter().flatten() {
                if holding.shopper == shopper {
                    holding.until = holding.until.min(at);
                }
            }
        }
    }

    /// Places that belonged to two at the same time. Only what is certain counts: from when one was told until they
    /// asked to give it back, or their time was over.
    pub(super) fn oversold(&self) -> u64 {
        let inner = self.lock();
        let is_oversold = |holdings: &Vec<Holding>| {
            holdings.iter().enumerate().any(|(nth, one)| {
                holdings[nth + 1..].iter().any(|other| other.from < one.until && one.from < other.until)
            })
        };
        inner.holdings.values().filter(|holdings| is_oversold(holdings)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn place_is_oversold_only_while_two_have_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ledger = Ledger::default();
        let (seat, slot) = (Place::Seat(7), Place::Slot(7, 1));
        ledger.won(0, &[seat, slot], at(1), at(9));
        ledger.gives_back(0, &[seat], at(3));
        ledger.won(1, &[seat], at(4), at(9));
        assert_eq!(ledger.oversold(), 0);
        ledger.won(2, &[slot], at(4), at(9));
        assert_eq!(ledger.oversold(), 1);
        ledger.won(3, &[seat], at(2), at(9));
        assert_eq!(ledger.oversold(), 2);
        ledger.won(4, &[Place::Seat(8)], at(1), at(3));
        ledger.won(5, &[Place::Seat(8)], at(3), at(5));
        assert_eq!(ledger.oversold(), 2, "what has run out is somebody else's by right");
    }

    #[test]
    fn places_are_read() {
        assert_eq!(Place::read(&serde_json::json!({"seatId": 4})), Some(Place::Seat(4)));
        assert_eq!(Place::read(&serde_json::json!({"areaId": 4, "slot": 2})), Some(Place::Slot(4, 2)));
        assert_eq!(Place::read(&serde_json::json!({"areaId": 4})), None);
    }
}
