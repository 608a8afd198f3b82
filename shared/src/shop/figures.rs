//! What operators see while a sale is on: figures by the minute, and how the event stream stands.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Fault;
use crate::domain::{EventId, Money};
use crate::store::{Counts, DeadRecord, EventFigures, OutboxDepth, RevenueRecord, Store};
use crate::stream::{Broker, GroupLag};

/// The longest time that figures are given for by the minute.
const LONGEST: TimeDelta = TimeDelta::days(7);
/// Without another wish, the last hour.
const USUAL: TimeDelta = TimeDelta::hours(1);
/// Messages that could not be handled, in one answer at most.
const DEAD: i64 = 100;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// No such event.
    #[error("there is no such event")]
    NotFound,
    /// The times make no sense.
    #[error("`from` must be before `to`, by 7 days at most")]
    Times,
    /// PostgreSQL is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Money of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revenue {
    /// What was paid.
    pub taken: Money,
    /// What was given back, in minor units.
    pub returned_minor: i64,
}

/// What was counted over some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub counts: Counts,
    /// Money, by currency.
    pub revenue: Vec<Revenue>,
}

impl Sums {
    /// Of the bookings that were made in this time, the share that was paid since; `None` where none was made. It is never
    /// above 1: what was paid may be counted a moment before it is counted as made, and counts as made then.
    pub fn conversion(&self) -> Option<f64> {
        let of = |count: i64| f64::from(i32::try_from(count).unwrap_or(i32::MAX));
        let (paid, made) = (self.counts.bookings_paid, self.counts.bookings.max(self.counts.bookings_paid));
        (made > 0).then(|| of(paid) / of(made))
    }
}

/// Figures of one event, or of all together.
#[derive(Debug, Clone)]
pub struct Report {
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when.
    pub to: DateTime<Utc>,
    /// How the event stands, or those at which most was done.
    pub events: Vec<EventFigures>,
    /// Over all of the time.
    pub total: Sums,
    /// Minutes in which something was counted, oldest first.
    pub minutes: Vec<(DateTime<Utc>, Sums)>,
}

/// How the event stream stands.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// `redis` or `kafka`.
    pub broker: &'static str,
    /// What was not sent yet.
    pub outbox: OutboxDepth,
    /// How far groups are behind; `None` while the broker does not answer.
    pub lags: Option<Vec<GroupLag>>,
    /// The latest messages that could not be handled.
    pub dead: Vec<DeadRecord>,
    /// How many of them are kept.
    pub dead_count: i64,
}

/// Figures; clones share the connections.
#[derive(Clone)]
pub struct Figures {
    store: Store,
    broker: Broker,
}

impl Figures {
    /// Figures from these.
    pub fn new(store: Store, broker: Broker) -> Self {
        Self { store, broker }
    }

    /// Figures of one event, or of all together with so many of them; the last hour, where no times are given.
    ///
    /// # Errors
    /// No such event, the times make no sense, or PostgreSQL is away.
    pub async fn report(
        &self,
        only: Option<EventId>,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        events_at_most: i64,
    ) -> Result<Report, FiguresError> {
        let to = match to {
            Some(to) => to,
            None => self.store.now().await.map_err(Fault::from)?,
        };
        let from = from.or_else(|| to.checked_sub_signed(USUAL)).ok_or(FiguresError::Times)?;
        if from >= to || to.signed_duration_since(from) > LONGEST {
            return Err(FiguresError::Times);
        }
        let when = (from, to);
        let events = self.store.event_figures(only, when, events_at_most).await.map_err(Fault::from)?;
        if only.is_some() && events.is_empty() {
            return Err(FiguresError::NotFound);
        }
        let counted = self.store.minutes_of(only, when).await.map_err(Fault::from)?;
        let money = self.store.revenue_of(only, when).await.map_err(Fault::from)?;
        let mut minutes: BTreeMap<DateTime<Utc>, Sums> = BTreeMap::new();
        let mut total = Sums::default();
        for minute in counted {
            add_counts(&mut total.counts, &minute.counts);
            minutes.entry(minute.at).or_default().counts = minute.counts;
        }
        for one in money {
            add_revenue(&mut total.revenue, &one);
            add_revenue(&mut minutes.entry(one.at).or_default().revenue, &one);
        }
        Ok(Report { from, to, events, total, minutes: minutes.into_iter().collect() })
    }

    /// How the event stream stands.
    ///
    /// # Errors
    /// PostgreSQL is away. A broker that is away is told as such.
    pub async fn stream(&self) -> Result<StreamReport, Fault> {
        let outbox = self.store.outbox_depth().await?;
        let (dead, dead_count) = self.store.dead_messages(DEAD).await?;
        let lags = match self.broker.lags().await {
            Ok(lags) => Some(lags),
            Err(error) => {
                tracing::warn!(
                    error = crate::telemetry::chain(&error),
                    "the broker does not say how far groups are"
                );
                None
            }
        };
        Ok(StreamReport { broker: self.broker.kind(), outbox, lags, dead, dead_count })
    }
}

fn add_counts(sum: &mut Counts, more: &Counts) {
    sum.bookings += more.bookings;
    sum.bookings_paid += more.bookings_paid;
    sum.reserved += more.reserved;
    sum.released += more.released;
    sum.orders_paid += more.orders_paid;
    sum.sold += more.sold;
    sum.refunded += more.refunded;
}

fn add_revenue(sums: &mut Vec<Revenue>, more: &RevenueRecord) {
    match sums.iter_mut().find(|sum| sum.taken.currency == more.taken.currency) {
        Some(sum) => {
            sum.taken.amount += more.taken.amount;
            sum.returned_minor += more.returned_minor;
        }
        None => sums.push(Revenue { taken: more.taken.clone(), returned_minor: more.returned_minor }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_is_of_what_was_made_in_the_time_and_never_above_one() {
        let of = |bookings, bookings_paid, orders_paid| {
            let counts = Counts { bookings, bookings_paid, orders_paid, ..Counts::default() };
            Sums { counts, revenue: Vec::new() }.conversion()
        };
        assert_eq!(of(4, 1, 3), Some(0.25), "what was made before does not count");
        assert_eq!(of(0, 0, 3), None, "nor where nothing was made");
        assert_eq!(of(1, 2, 2), Some(1.0), "told before it was told of being made");
    }
}
