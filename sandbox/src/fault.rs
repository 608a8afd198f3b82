//! What goes wrong on order.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Faults that can wait at once.
const MAX_FAULTS: usize = 1_000;
/// Milliseconds that anything may be held back.
const MAX_MS: u64 = 120_000;
/// So far apart are the rounds of percentages at one point, so that two of them do not strike the same; it has no factor in
/// common with a hundred.
const APART: u64 = 7;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// A session is made.
    Create,
    /// A session is read.
    Query,
    /// Sessions are listed.
    List,
    /// A page is closed.
    Expire,
    /// What was set aside is taken.
    Capture,
    /// Money is given back.
    Refund,
    /// A shop is told something.
    Webhook,
    /// Money was taken.
    Paid,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Effect {
    /// It takes so long: a call its answer, a webhook its way.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// A call is answered with this status.
    Status {
        /// 400 to 599.
        status: u16,
        /// What was asked for is done all the same.
        #[serde(default)]
        done: bool,
    },
    /// A call is accepted and not answered.
    Hang {
        /// Milliseconds, after which the connection gets a 504.
        ms: u64,
        /// What was asked for is done all the same.
        #[serde(default)]
        done: bool,
    },
    /// A refund is under way for so long; without a time until the sandbox stops.
    Pending {
        /// Milliseconds.
        ms: Option<u64>,
    },
    /// A page that is closed is paid all the same, as by a transfer that was on its way.
    LateSuccess {
        /// Milliseconds after the page was closed.
        #[serde(default)]
        ms: u64,
    },
    /// A webhook is sent twice.
    Duplicate,
    /// A webhook is sent after the session's next one.
    Reorder {
        /// Milliseconds after which it is sent anyway.
        ms: u64,
    },
    /// A webhook is not sent.
    Lose,
    /// The payer's bank takes the money back.
    Chargeback {
        /// Milliseconds after it was taken.
        #[serde(default)]
        ms: u64,
    },
}

impl Effect {
    fn fits(self, point: Point) -> bool {
        match self {
            Self::Delay { .. } => point != Point::Paid,
            Self::Status { .. } | Self::Hang { .. } => !matches!(point, Point::Paid | Point::Webhook),
            Self::Pending { .. } => point == Point::Refund,
            Self::LateSuccess { .. } => point == Point::Expire,
            Self::Duplicate | Self::Reorder { .. } | Self::Lose => point == Point::Webhook,
            Self::Chargeback { .. } => point == Point::Paid,
        }
    }

    fn is_bounded(self) -> bool {
        match self {
            Self::Delay { ms }
            | Self::Hang { ms, .. }
            | Self::LateSuccess { ms }
            | Self::Reorder { ms }
            | Self::Chargeback { ms } => ms <= MAX_MS,
            Self::Pending { ms } => ms.is_none_or(|ms| ms <= MAX_MS),
            Self::Status { status, .. } => (400..600).contains(&status),
            Self::Duplicate | Self::Lose => true,
        }
    }
}

/// A fault that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where it strikes.
    pub on: Point,
    /// What goes wrong.
    #[serde(flatten)]
    pub effect: Effect,
    /// Only at this session.
    pub session: Option<String>,
    /// So many times; without it and without `percent` once.
    pub next: Option<u32>,
    /// At so many of a hundred, spread evenly, until faults are cleared.
    pub percent: Option<u8>,
    /// Times that it has struck.
    #[serde(default, skip_deserializing)]
    pub struck: u64,
    /// Where its percentage stands in its round.
    #[serde(skip)]
    pub seen: u64,
}

impl Fault {
    /// What is wrong with the order, in a word.
    pub fn fault(&self) -> Option<&'static str> {
        if !self.effect.fits(self.on) {
            Some("wrong_point")
        } else if !self.effect.is_bounded() {
            Some("wrong_figure")
        } else if self.percent.is_some_and(|percent| percent > 100 || self.next.is_some()) {
            Some("wrong_count")
        } else {
            None
        }
    }

    /// Whether it strikes now; counts down.
    fn strikes(&mut self) -> bool {
        let is_due = match self.percent {
            Some(percent) => {
                self.seen += 1;
                let due = |seen: u64| seen * u64::from(percent) / 100;
                due(self.seen) > due(self.seen - 1)
            }
            None => {
                let left = self.next.unwrap_or(1);
                self.next = Some(left.saturating_sub(1));
                left > 0
            }
        };
        self.struck += u64::from(is_due);
        is_due
    }
}

/// All faults that were ordered.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Orders one. False when there are too many already.
    pub fn order(&self, mut fault: Fault) -> bool {
        let mut faults = self.0.lock();
        let has_room = faults.len() < MAX_FAULTS;
        if has_room {
            let others = faults.iter().filter(|other| other.on == fault.on && other.percent.is_some());
            fault.seen = others.map(|_| APART).sum();
            faults.push(fault);
        }
        has_room
    }

    /// What goes wrong at this point, in the order it was ordered.
    pub fn strike(&self, on: Point, session: Option<&str>) -> Vec<Effect> {
        let mut faults = self.0.lock();
        let concerns = |fault: &Fault| fault.session.is_none() || fault.session.as_deref() == session;
        let striking = faults.iter_mut().filter(|fault| fault.on == on && concerns(fault));
        let effects = striking.filter_map(|fault| fault.strikes().then_some(fault.effect)).collect();
        faults.retain(|fault| fault.percent.is_some() || fault.next != Some(0));
        effects
    }

    /// Those that are still to come.
    pub fn list(&self) -> Vec<Fault> {
        self.0.lock().clone()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: serde_json::Value) -> Fault {
        let fault: Fault = serde_json::from_value(json).expect("a fault");
        assert_eq!(fault.fault(), None);
        fault
    }

    #[test]
    fn fault_strikes_so_many_times_and_only_where_it_was_ordered() {
        let faults = Faults::default();
        faults.order(fault(serde_json::json!({ "on": "webhook", "kind": "duplicate", "next": 2 })));
        faults.order(fault(serde_json::json!({ "on": "webhook", "kind": "lose", "session": "a" })));
        assert!(faults.strike(Point::Capture, Some("a")).is_empty());
        assert_eq!(faults.strike(Point::Webhook, Some("b")), [Effect::Duplicate]);
        assert_eq!(faults.strike(Point::Webhook, Some("a")), [Effect::Duplicate, Effect::Lose]);
        assert!(faults.strike(Point::Webhook, Some("a")).is_empty());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn percentage_is_spread_evenly_and_goes_on() {
        let faults = Faults::default();
        faults.order(fault(serde_json::json!({ "on": "webhook", "kind": "lose", "percent": 5 })));
        let struck: Vec<usize> =
            (1..=100).filter(|_| !faults.strike(Point::Webhook, None).is_empty()).collect();
        assert_eq!(struck, [20, 40, 60, 80, 100]);
        assert_eq!(faults.list()[0].struck, 5);
        faults.clear();
        assert!(faults.list().is_empty());
    }

    #[test]
    fn equal_percentages_do_not_strike_the_same_one() {
        let faults = Faults::default();
        let orders = [
            serde_json::json!({ "on": "webhook", "kind": "lose", "percent": 5 }),
            serde_json::json!({ "on": "webhook", "kind": "duplicate", "percent": 5 }),
            serde_json::json!({ "on": "webhook", "kind": "delay", "ms": 1, "percent": 5 }),
        ];
        assert!(orders.into_iter().all(|order| faults.order(fault(order))));
        let mut struck = 0;
        for nth in 1..=200 {
            let effects = faults.strike(Point::Webhook, None);
            assert!(effects.len() <= 1, "{nth}: {effects:?}");
            struck += effects.len();
        }
        assert_eq!(struck, 30);
        assert!(faults.list().iter().all(|fault| fault.struck == 10));
    }

    #[test]
    fn orders_that_make_no_sense_are_named_and_their_number_is_bounded() {
        let wrong = |json| serde_json::from_value::<Fault>(json).expect("a fault").fault();
        assert_eq!(wrong(serde_json::json!({ "on": "create", "kind": "lose" })), Some("wrong_point"));
        assert_eq!(
            wrong(serde_json::json!({ "on": "query", "kind": "status", "status": 200 })),
            Some("wrong_figure")
        );
        assert_eq!(
            wrong(serde_json::json!({ "on": "query", "kind": "hang", "ms": 999_999 })),
            Some("wrong_figure")
        );
        let both = serde_json::json!({ "on": "webhook", "kind": "lose", "percent": 5, "next": 1 });
        assert_eq!(wrong(both), Some("wrong_count"));
        let faults = Faults::default();
        let one = fault(serde_json::json!({ "on": "webhook", "kind": "lose" }));
        assert!((0..MAX_FAULTS).all(|_| faults.order(one.clone())));
        assert!(!faults.order(one));
    }
}
