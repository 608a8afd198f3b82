//! Counts what happens at an event, by the minute.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use shared::domain::Money;
use shared::store::{Consuming, Counts, CountsAt, RevenueAt};
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

/// Bookings are counted in the minute in which they were made.
async fn add_bookings(
    sum: &mut Sum,
    consuming: &mut Consuming,
    facts: &[&Envelope],
) -> Result<(), ConsumeError> {
    let mut made = Vec::new();
    for fact in facts.iter().filter(|fact| fact.topic == "booking.created") {
        made.push((*fact, fact.read::<BookingFact>()?.booking_id));
    }
    let ids: Vec<Uuid> = made.iter().map(|(_, booking)| *booking).collect();
    let times = consuming.times_of_bookings(&ids).await?;
    for (fact, booking) in made {
        let at = times.get(&booking).copied().unwrap_or_else(|| fact.at());
        let counts = Counts { bookings: 1, ..Counts::default() };
        sum.counts.push(CountsAt { event: fact.event_id, at, counts });
    }
    Ok(())
}

/// And so are those of them that are paid, whenever that is.
async fn add_paid(
    sum: &mut Sum,
    consuming: &mut Consuming,
    (fact, bookings): (&Envelope, &[Uuid]),
) -> Result<(), ConsumeError> {
    for at in consuming.times_of_bookings(bookings).await?.into_values() {
        let counts = Counts { bookings_paid: 1, ..Counts::default() };
        sum.counts.push(CountsAt { event: fact.event_id, at, counts });
    }
    Ok(())
}

async fn add(sum: &mut Sum, consuming: &mut Consuming, fact: &Envelope) -> Result<(), ConsumeError> {
    match fact.topic.as_str() {
        "seat.selected" => sum.count(fact, Counts { reserved: places(fact)?, ..Counts::default() }),
        "seat.released" | "reservation.expired" => {
            sum.count(fact, Counts { released: places(fact)?, ..Counts::default() });
        }
        "payment.completed" => {
            let order: OrderFact = fact.read()?;
            if consuming.is_first_payment(order.order_id, fact.event_id).await? {
                sum.count(fact, Counts { orders_paid: 1, sold: order.places, ..Counts::default() });
                add_paid(sum, consuming, (fact, &order.booking_ids)).await?;
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
            add_bookings(&mut sum, consuming, facts).await?;
            for fact in facts {
                add(&mut sum, consuming, fact).await?;
            }
            consuming.add_counts(&sum.counts).await?;
            Ok(consuming.add_revenue(&sum.revenue).await?)
        }
        .boxed()
    }
}
