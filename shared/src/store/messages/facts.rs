//! What messages are about, as it is when they are sent.

use chrono::NaiveDateTime;
use uuid::Uuid;

use crate::domain::{BookingId, EventId, Money, OrderId, RefundId, UserId};
use crate::store::{Store, StoreError};

/// Places that one message lists at most.
const MOST_PLACES: i64 = 200;

/// A time as the clock at the venue shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTime {
    /// What the clock shows.
    pub at: NaiveDateTime,
    /// Its zone, such as `Europe/Kyiv`.
    pub zone: String,
}

/// A change of an account. It has no `Debug`: an address is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct ToldChange {
    /// Whose account.
    pub user: UserId,
    /// `email`, `phone`, `login`, `password`.
    pub field: String,
    /// The e-mail address before it.
    pub told: String,
    /// A part of the new value; `None` for a password.
    pub hint: Option<String>,
    /// When, in UTC.
    pub at: LocalTime,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldShow {
    /// Its id.
    pub id: EventId,
    /// As shown.
    pub name: String,
    /// The venue's name.
    pub venue: String,
    /// The venue's city.
    pub city: String,
    /// When it begins.
    pub starts: LocalTime,
    /// It does not take place.
    pub is_cancelled: bool,
    /// It has begun.
    pub is_over: bool,
}

/// A place in a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPlace {
    /// The name of the section or area.
    pub section: String,
    /// The labels of row and seat; `None` in an area.
    pub row_and_seat: Option<(String, String)>,
    /// The name of its tier.
    pub tier: String,
    /// What it costs.
    pub price: Money,
}

/// A cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldCart {
    /// For which event.
    pub show: ToldShow,
    /// `created`, `pending_payment`, `paid`, `cancelled`, `expired`.
    pub status: String,
    /// What is in it and has not run out.
    pub places: Vec<ToldPlace>,
    /// When the first of them runs out.
    pub until: Option<LocalTime>,
}

/// A place in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldItem {
    /// Of which event.
    pub event: EventId,
    /// In words, as it was bought.
    pub place: String,
    /// The name of its tier.
    pub tier: String,
    /// What it cost.
    pub price: Money,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldOrder {
    /// Its id.
    pub id: OrderId,
    /// As in `orders`.
    pub status: String,
    /// What it cost.
    pub total: Money,
    /// The events that it has places at.
    pub shows: Vec<ToldShow>,
    /// Its places.
    pub items: Vec<ToldItem>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRefund {
    /// Its id.
    pub id: RefundId,
    /// Of which order.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// It has failed for good.
    pub is_failed: bool,
}

/// A payment that is not the same at the provider's as here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldDifference {
    /// With which provider.
    pub provider: String,
    /// The provider's name for the payment.
    pub reference: String,
    /// Of which order.
    pub order: Option<OrderId>,
    /// In what it differs: a word of the constraint `payment_differences_kind_known`.
    pub kind: String,
    /// What we say.
    pub ours: String,
    /// What they say.
    pub theirs: String,
    /// There is nothing left to decide.
    pub is_over: bool,
}

impl Store {
    /// A change of an account as messages tell of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn told_change(&self, change: Uuid) -> Result<Option<ToldChange>, StoreError> {
        let row = sqlx::query!(
            r#"select user_id, field, told, hint, changed_at at time zone 'UTC' as "at!"
               from account_changes where id = $1"#,
            change
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ToldChange {
            user: UserId(row.user_id),
            field: row.field,
            told: row.told,
            hint: row.hint,
            at: LocalTime { at: row.at, zone: "UTC".to_owned() },
        }))
    }

    /// Events as messages tell of them, by date.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn told_shows(&self, events: &[EventId]) -> Result<Vec<ToldShow>, StoreError> {
        let ids: Vec<i64> = events.iter().map(|event| event.0).collect();
        let rows = sqlx::query!(
            r#"select e.id, e.name, v.name as venue, v.city, v.time_zone, e.status,
                   e.starts_at at time zone v.time_zone as "starts!",
                   e.starts_at < clock_timestamp() as "is_over!"
               from events e join venues v on v.id = e.venue_id
               where e.id = any($1) order by e.starts_at, e.id"#,
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let of = rows.into_iter().map(|row| ToldShow {
            id: EventId(row.id),
            name: row.name,
            venue: row.venue,
            city: row.city,
            starts: LocalTime { at: row.starts, zone: row.time_zone },
            is_cancelled: row.status == "cancelled",
            is_over: row.is_over,
        });
        Ok(of.collect())
    }

    /// A cart as messages tell of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn told_cart(&self, booking: BookingId) -> Result<Option<ToldCart>, StoreError> {
        let row = sqlx::query!("select event_id, status from bookings where id = $1", booking.0)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(show) = self.told_shows(&[EventId(row.event_id)]).await?.pop() else { return Ok(None) };
        let claims =
            sqlx::query_file!("src/store/sql/told_places.sql", booking.0, show.starts.zone, MOST_PLACES)
                .fetch_all(&self.pool)
                .await?;
        let until = claims.iter().filter_map(|claim| claim.until).min();
        let places = claims.into_iter().map(|claim| ToldPlace {
            section: claim.section,
            row_and_seat: claim.row_label.zip(claim.seat_label),
            tier: claim.tier,
            price: Money { amount: claim.price_minor, currency: claim.currency },
        });
        Ok(Some(ToldCart {
            status: row.status,
            places: places.collect(),
            until: until.map(|at| LocalTime { at, zone: show.starts.zone.clone() }),
            show,
        }))
    }

    /// An order as messages tell of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn told_order(&self, order: OrderId) -> Result<Option<ToldOrder>, StoreError> {
        let row = sqlx::query!("select status, total_minor, currency from orders where id = $1", order.0)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let items = sqlx::query!(
            "select event_id, place, tier_name, price_minor from order_items
             where order_id = $1 order by event_id, place, id limit $2",
            order.0,
            MOST_PLACES
        )
        .fetch_all(&self.pool)
        .await?;
        let items: Vec<ToldItem> = items
            .into_iter()
            .map(|item| ToldItem {
                event: EventId(item.event_id),
                place: item.place,
                tier: item.tier_name,
                price: Money { amount: item.price_minor, currency: row.currency.clone() },
            })
            .collect();
        let events: Vec<EventId> = items.iter().map(|item| item.event).collect();
        Ok(Some(ToldOrder {
            id: order,
            status: row.status,
            total: Money { amount: row.total_minor, currency: row.currency },
            shows: self.told_shows(&events).await?,
            items,
        }))
    }

    /// A refund as messages tell of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn told_refund(&self, refund: RefundId) -> Result<Option<ToldRefund>, StoreError> {
        let row = sqlx::query!(
            "select r.order_id, r.amount_minor, r.status, o.currency
             from refunds r join orders o on o.id = r.order_id where r.id = $1",
            refund.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ToldRefund {
            id: refund,
            order: OrderId(row.order_id),
            amount: Money { amount: row.amount_minor, currency: row.currency },
            is_failed: row.status == "failed",
        }))
    }

    /// A difference as messages tell of it.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn told_difference(&self, difference: i64) -> Result<Option<ToldDifference>, StoreError> {
        let row = sqlx::query!(
            r#"select d.provider, d.provider_ref, d.kind, d.ours, d.theirs, d.repaired, p.order_id as "order_id?"
               from payment_differences d left join payments p on p.id = d.payment_id where d.id = $1"#,
            difference
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ToldDifference {
            provider: row.provider,
            reference: row.provider_ref,
            order: row.order_id.map(OrderId),
            kind: row.kind,
            ours: row.ours,
            theirs: row.theirs,
            is_over: row.repaired,
        }))
    }
}
