//! Counts what happens at an event, by the minute.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use shared::domain::Money;
use shared::store::{BookingTimes, Consuming, Counts, CountsAt, RevenueAt};
use shared::stream::{Envelope, Group};
use uuid::Uuid;

use super::{ConsumeError, Consumer};

/// The group `analytics`.
pub struct Analytics;

/// The booking that a fact is about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookingFact {
    booking_id: Uuid,
}

/// The places that a fact is about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlacesFact {
    #[serde(default)]
    seat_ids: Vec<i64>,
    #[serde(default)]
    slots: Vec<(i64, u32)>,
}

/// An event's part of an order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderFact {
    order_id: Uuid,
    #[serde(default)]
    booking_ids: Vec<Uuid>,
    #[serde(default)]
    places: i64,
    amount: Option<Money>,
    amount_minor: Option<i64>,
    currency: Option<String>,
}

impl OrderFact {
    fn amount(self) -> Option<Money> {
        self.amount.or_else(|| Some(Money { amount: self.amount_minor?, currency: self.currency? }))
    }
}

/// What follows from some facts.
#[derive(Default)]
struct Sum {
    counts: Vec<CountsAt>,
    revenue: Vec<RevenueAt>,
}

impl Sum {
    fn count(&mut self, fact: &Envelope, counts: Counts) {
        self.counts.push(CountsAt { event: fact.event_id, at: fact.at(), counts });
    }

    fn take(&mut self, fact: &Envelope, money: Money) {
        self.revenue.push(RevenueAt { event: fact.event_id, at: fact.at(), taken: money, returned_minor: 0 });
    }

    fn give_back(&mut self, fact: &Envelope, money: Money) {
        let returned_minor = money.amount;
        let taken = Money { amount: 0, ..money };
        self.revenue.push(RevenueAt { event: fact.event_id, at: fact.at(), taken, returned_minor });
    }
}

fn places(fact: &Envelope) -> Result<i64, ConsumeError> {
    let PlacesFact { seat_ids, slots } = fact.read()?;
    Ok(i64::try_from(seat_ids.len() + slots.len()).unwrap_or(i64::MAX))
}

/// The bookings whose minute counts: those that were made, and those that are paid.
fn bookings(fact: &Envelope) -> Result<Vec<Uuid>, ConsumeError> {
    match fact.topic.as_str() {
        "booking.created" => Ok(vec![fact.read::<BookingFact>()?.booking_id]),
        "payment.completed" => Ok(fact.read::<OrderFact>()?.booking_ids),
        _ => Ok(Vec::new()),
    }
}

/// Bookings, and those of them that are paid, are counted in the minute in which they were made, all else when it was told.
async fn add(
    sum: &mut Sum,
    consuming: &mut Consuming,
    fact: &Envelope,
    made: &BookingTimes,
) -> Result<(), ConsumeError> {
    match fact.topic.as_str() {
        "booking.created" => {
            let booking = fact.read::<BookingFact>()?.booking_id;
            let at = made.get(&booking).copied().unwrap_or_else(|| fact.at());
            let counts = Counts { bookings: 1, ..Counts::default() };
            sum.counts.push(CountsAt { event: fact.event_id, at, counts });
        }
        "seat.selected" => sum.count(fact, Counts { reserved: places(fact)?, ..Counts::default() }),
        "seat.released" | "reservation.expired" => {
            sum.count(fact, Counts { released: places(fact)?, ..Counts::default() });
        }
        "payment.completed" => {
            let order: OrderFact = fact.read()?;
            if consuming.is_first_payment(order.order_id, fact.event_id).await? {
                sum.count(fact, Counts { orders_paid: 1, sold: order.places, ..Counts::default() });
                for at in order.booking_ids.iter().filter_map(|booking| made.get(booking)) {
                    let counts = Counts { bookings_paid: 1, ..Counts::default() };
                    sum.counts.push(CountsAt { event: fact.event_id, at: *at, counts });
                }
                if let Some(money) = order.amount() {
                    sum.take(fact, money);
                }
            }
        }
        "order.refunded" | "order.charged_back" => {
            let order: OrderFact = fact.read()?;
            sum.count(fact, Counts { refunded: order.places, ..Counts::default() });
            if let Some(money) = order.amount() {
                sum.give_back(fact, money);
            }
        }
        _ => {}
    }
    Ok(())
}

impl Consumer for Analytics {
    fn group(&self) -> Group {
        Group::Analytics
    }

    fn handle<'a>(
        &'a self,
        consuming: &'a mut Consuming,
        facts: &'a [&'a Envelope],
    ) -> BoxFuture<'a, Result<(), ConsumeError>> {
        async move {
            let mut sum = Sum::default();
            let mut ids = Vec::new();
            for fact in facts {
                ids.extend(bookings(fact)?);
            }
            let made = consuming.times_of_bookings(&ids).await?;
            for fact in facts {
                add(&mut sum, consuming, fact, &made).await?;
            }
            consuming.add_counts(&sum.counts).await?;
            Ok(consuming.add_revenue(&sum.revenue).await?)
        }
        .boxed()
    }
}
