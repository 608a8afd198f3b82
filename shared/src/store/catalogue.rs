//! Events and their layouts.

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::domain::{
    Area, AreaId, EventId, Layout, Money, SeatId, SeatRecord, Section, SectionId, Tier, TierId,
};

/// An event without what moves.
#[derive(Debug, Clone)]
pub struct EventRecord {
    /// Its id.
    pub id: EventId,
    /// As shown.
    pub name: String,
    /// As shown.
    pub description: String,
    /// The venue's name.
    pub venue: String,
    /// The venue's city.
    pub city: String,
    /// Who plays, in order.
    pub artists: Vec<ArtistRecord>,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// From when on it is sold.
    pub sales_open_at: DateTime<Utc>,
    /// Until when it is sold.
    pub sales_close_at: DateTime<Utc>,
    /// Places that one shopper may have.
    pub seat_limit: u32,
    /// Seconds that a reservation holds.
    pub hold_seconds: u32,
    /// Rises when places are added or removed.
    pub layout_version: u32,
    /// Seats and the capacity of areas.
    pub capacity: u64,
    /// The cheapest tier.
    pub price_from: Option<Money>,
    /// PostgreSQL's clock when this was read.
    pub read_at: DateTime<Utc>,
}

/// Who plays.
#[derive(Debug, Clone)]
pub struct ArtistRecord {
    /// Their id.
    pub id: i64,
    /// As shown.
    pub name: String,
    /// As shown.
    pub genre: String,
}

fn small(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

impl Store {
    /// Events that have not begun, by date; with an id, that one alone, begun or not.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn events(
        &self,
        only: Option<EventId>,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let read = |pool: sqlx::PgPool| async move {
            sqlx::query_file!("src/store/sql/events.sql", only.map(|id| id.0), offset, limit)
                .fetch_all(&pool)
                .await
        };
        // A list may lag; one event is read in order to decide on it.
        let rows = if only.is_none() { self.read(read).await? } else { read(self.pool.clone()).await? };
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let artists = sqlx::query!(
            "select ea.event_id, a.id, a.name, a.genre
             from event_artists ea join artists a on a.id = ea.artist_id
             where ea.event_id = any($1) order by ea.event_id, ea.position",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let events = rows.into_iter().map(|row| EventRecord {
            id: EventId(row.id),
            name: row.name,
            description: row.description,
            venue: row.venue,
            city: row.city,
            artists: artists
                .iter()
                .filter(|artist| artist.event_id == row.id)
                .map(|artist| ArtistRecord {
                    id: artist.id,
                    name: artist.name.clone(),
                    genre: artist.genre.clone(),
                })
                .collect(),
            starts_at: row.starts_at,
            sales_open_at: row.sales_open_at,
            sales_close_at: row.sales_close_at,
            seat_limit: small(row.seat_limit),
            hold_seconds: small(row.hold_seconds),
            layout_version: small(row.layout_version),
            capacity: u64::try_from(row.capacity).unwrap_or(0),
            read_at: row.read_at,
            price_from: row
                .price_minor
                .zip(row.currency)
                .map(|(amount, currency)| Money { amount, currency }),
        });
        Ok(events.collect())
    }

    /// One event.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreError> {
        Ok(self.events(Some(id), 0, 1).await?.pop())
    }

    /// How many events have not begun.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn count_events(&self) -> Result<u64, StoreError> {
        let count = self
            .read(|pool| async move {
                sqlx::query_scalar!(
                    r#"select count(*) as "count!" from events where starts_at > clock_timestamp()"#
                )
                .fetch_one(&pool)
                .await
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The event of a seat.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn event_of_seat(&self, seat: SeatId) -> Result<Option<EventId>, StoreError> {
        let event = sqlx::query_scalar!("select event_id from seats where id = $1", seat.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(event.map(EventId))
    }

    /// All places of an event; `None` when there is no such event.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn layout(&self, event: EventId) -> Result<Option<Layout>, StoreError> {
        let Some(version) = sqlx::query_scalar!("select layout_version from events where id = $1", event.0)
            .fetch_optional(&self.pool)
            .await?
        else {
            return Ok(None);
        };
        let tiers = sqlx::query!(
            "select id, name, price_minor, currency from price_tiers where event_id = $1
             order by price_minor desc, id",
            event.0
        )
        .map(|row| Tier {
            id: TierId(row.id),
            name: row.name,
            price: Money { amount: row.price_minor, currency: row.currency },
        })
        .fetch_all(&self.pool)
        .await?;
        let sections =
            sqlx::query!("select id, name from sections where event_id = $1 order by position, id", event.0)
                .map(|row| Section { id: SectionId(row.id), name: row.name })
                .fetch_all(&self.pool)
                .await?;
        let areas = sqlx::query!(
            "select id, name, tier_id, capacity from areas where event_id = $1 order by position, id",
            event.0
        )
        .map(|row| Area {
            id: AreaId(row.id),
            name: row.name,
            tier: TierId(row.tier_id),
            capacity: small(row.capacity),
        })
        .fetch_all(&self.pool)
        .await?;
        let section_index = |id: i64| {
            sections.iter().position(|section| section.id.0 == id).and_then(|at| u32::try_from(at).ok())
        };
        let rows = sqlx::query!(
            "select s.id, s.section_id, s.tier_id, s.row_label, s.seat_label, s.x, s.y
             from seats s join sections c on c.id = s.section_id
             where s.event_id = $1
             order by c.position, c.id, s.row_position, s.seat_position",
            event.0
        )
        .fetch_all(&self.pool)
        .await?;
        let seats = rows
            .into_iter()
            .map(|row| {
                Ok(SeatRecord {
                    id: SeatId(row.id),
                    section: section_index(row.section_id)
                        .ok_or(StoreError::Row("a seat in a section of another event"))?,
                    row: row.row_label,
                    label: row.seat_label,
                    tier: TierId(row.tier_id),
                    x: row.x,
                    y: row.y,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Some(Layout::new(event, small(version), tiers, sections, seats, areas)))
    }
}
