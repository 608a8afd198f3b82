//! Live figures of events, by the minute, as the consumer of the event stream counts them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::consuming::Consuming;
use super::{Store, StoreError};
use crate::domain::{EventId, Money};

/// Bookings, and when they were made.
pub type BookingTimes = HashMap<Uuid, DateTime<Utc>>;

/// What is counted in a minute of an event, or over several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bookings that were made.
    pub bookings: i64,
    /// Of these, those that were paid since, whenever that was.
    pub bookings_paid: i64,
    /// Places that were reserved.
    pub reserved: i64,
    /// Places that came back: given up, or run out.
    pub released: i64,
    /// Orders that were paid.
    pub orders_paid: i64,
    /// Places that were sold.
    pub sold: i64,
    /// Places whose price went back.
    pub refunded: i64,
}

/// What to add to the figures of a minute.
#[derive(Debug, Clone)]
pub struct CountsAt {
    /// Of which event.
    pub event: EventId,
    /// When; cut to the minute.
    pub at: DateTime<Utc>,
    /// How many.
    pub counts: Counts,
}

/// Money to add to the figures of a minute.
#[derive(Debug, Clone)]
pub struct RevenueAt {
    /// Of which event.
    pub event: EventId,
    /// When; cut to the minute.
    pub at: DateTime<Utc>,
    /// Taken.
    pub taken: Money,
    /// Given back, in the same currency, in minor units.
    pub returned_minor: i64,
}

/// The figures of a minute.
#[derive(Debug, Clone)]
pub struct MinuteRecord {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How many.
    pub counts: Counts,
}

/// The revenue of a minute in a currency.
#[derive(Debug, Clone)]
pub struct RevenueRecord {
    /// When the minute began; the beginning of all where it is a sum.
    pub at: DateTime<Utc>,
    /// Taken.
    pub taken: Money,
    /// Given back, in minor units.
    pub returned_minor: i64,
}

/// How an event stands, and what was counted over some time.
#[derive(Debug, Clone)]
pub struct EventFigures {
    /// Which event.
    pub event: EventId,
    /// Its name.
    pub name: String,
    /// Places that it has.
    pub capacity: i64,
    /// Places that are reserved or being paid for right now.
    pub held: i64,
    /// Places that are sold right now.
    pub sold_now: i64,
    /// What was counted.
    pub counts: Counts,
}

impl Consuming {
    /// Adds to figures, any number of lines in one statement.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn add_counts(&mut self, lines: &[CountsAt]) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let events: Vec<i64> = lines.iter().map(|line| line.event.0).collect();
        let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.at).collect();
        let of = |which: fn(&Counts) -> i64| lines.iter().map(|line| which(&line.counts)).collect::<Vec<_>>();
        sqlx::query_file!(
            "src/store/sql/add_counts.sql",
            &events,
            &times,
            &of(|counts| counts.bookings),
            &of(|counts| counts.bookings_paid),
            &of(|counts| counts.reserved),
            &of(|counts| counts.released),
            &of(|counts| counts.orders_paid),
            &of(|counts| counts.sold),
            &of(|counts| counts.refunded)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// When bookings were made; those that there are no longer are left out.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn times_of_bookings(&mut self, bookings: &[Uuid]) -> Result<BookingTimes, StoreError> {
        if bookings.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query!("select id, created_at from bookings where id = any($1)", bookings)
            .fetch_all(self.connection())
            .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.created_at)).collect())
    }

    /// Adds money to figures, any number of lines in one statement.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn add_revenue(&mut self, lines: &[RevenueAt]) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let events: Vec<i64> = lines.iter().map(|line| line.event.0).collect();
        let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.at).collect();
        let currencies: Vec<String> = lines.iter().map(|line| line.taken.currency.clone()).collect();
        let taken: Vec<i64> = lines.iter().map(|line| line.taken.amount).collect();
        let returned: Vec<i64> = lines.iter().map(|line| line.returned_minor).collect();
        sqlx::query!(
            "insert into event_revenue as r (event_id, minute, currency, taken_minor, returned_minor)
             select event_id, date_trunc('minute', at), currency, sum(taken), sum(returned)
             from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[])
                 as line (event_id, at, currency, taken, returned)
             group by 1, 2, 3 order by 1, 2, 3
             on conflict (event_id, minute, currency) do update
             set taken_minor = r.taken_minor + excluded.taken_minor,
                 returned_minor = r.returned_minor + excluded.returned_minor",
            &events,
            &times,
            &currencies,
            &taken,
            &returned
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Notes that an order was paid; whether that is new at this event. A second payment of it counts no second time.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn is_first_payment(&mut self, order: Uuid, event: EventId) -> Result<bool, StoreError> {
        let noted = sqlx::query!(
            "insert into event_figures_orders (order_id, event_id) values ($1, $2) on conflict do nothing",
            order,
            event.0
        )
        .execute(self.connection())
        .await?;
        Ok(noted.rows_affected() > 0)
    }
}

impl Store {
    /// Minutes of an event in which something was counted, oldest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn minutes_of(
        &self,
        event: Option<EventId>,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<MinuteRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"select minute, sum(bookings)::bigint as "bookings!", sum(bookings_paid)::bigint as "bookings_paid!",
                   sum(reserved)::bigint as "reserved!", sum(released)::bigint as "released!",
                   sum(orders_paid)::bigint as "orders_paid!", sum(sold)::bigint as "sold!",
                   sum(refunded)::bigint as "refunded!"
               from event_figures
               where ($1::bigint is null or event_id = $1) and minute >= date_trunc('minute', $2::timestamptz)
                   and minute < $3
               group by minute order by minute"#,
            event.map(|event| event.0),
            from,
            to
        )
        .fetch_all(&self.pool)
        .await?;
        let minutes = rows.into_iter().map(|row| MinuteRecord {
            at: row.minute,
            counts: Counts {
                bookings: row.bookings,
                bookings_paid: row.bookings_paid,
                reserved: row.reserved,
                released: row.released,
                orders_paid: row.orders_paid,
                sold: row.sold,
                refunded: row.refunded,
            },
        });
        Ok(minutes.collect())
    }

    /// Money of those minutes, oldest first.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn revenue_of(
        &self,
        event: Option<EventId>,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Vec<RevenueRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"select minute, currency, sum(taken_minor)::bigint as "taken!",
                   sum(returned_minor)::bigint as "returned!"
               from event_revenue
               where ($1::bigint is null or event_id = $1) and minute >= date_trunc('minute', $2::timestamptz)
                   and minute < $3
               group by minute, currency order by minute, currency"#,
            event.map(|event| event.0),
            from,
            to
        )
        .fetch_all(&self.pool)
        .await?;
        let money = rows.into_iter().map(|row| RevenueRecord {
            at: row.minute,
            taken: Money { amount: row.taken, currency: row.currency },
            returned_minor: row.returned,
        });
        Ok(money.collect())
    }

    /// How one event stands, or those at which most was reserved in this time, so many at most.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn event_figures(
        &self,
        only: Option<EventId>,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        at_most: i64,
    ) -> Result<Vec<EventFigures>, StoreError> {
        let rows = sqlx::query_file!(
            "src/store/sql/event_figures.sql",
            only.map(|event| event.0),
            from,
            to,
            at_most
        )
        .fetch_all(&self.pool)
        .await?;
        let figures = rows.into_iter().map(|row| EventFigures {
            event: EventId(row.event_id),
            name: row.name,
            capacity: row.capacity,
            held: row.held,
            sold_now: row.sold_now,
            counts: Counts {
                bookings: row.bookings,
                bookings_paid: row.bookings_paid,
                reserved: row.reserved,
                released: row.released,
                orders_paid: row.orders_paid,
                sold: row.sold,
                refunded: row.refunded,
            },
        });
        Ok(figures.collect())
    }
}
