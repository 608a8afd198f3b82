//! Events, their layouts, and the read model of lists and search.

mod layout;
mod listings;
mod upkeep;

pub use listings::{Found, ListedArtist, Listing, ListingFilter, LiveCount, Wanted};

use chrono::{DateTime, Utc};

use super::{Store, StoreError};
use crate::domain::{EventId, Money, SeatId};

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
    /// The venue's address; empty when nobody has told it.
    pub address: String,
    /// Who plays, in order.
    pub artists: Vec<ArtistRecord>,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends, where that is known.
    pub ends_at: Option<DateTime<Utc>>,
    /// It does not take place.
    pub is_cancelled: bool,
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
    /// As shown; may be empty.
    pub genre: String,
    /// What they do: singer, band, comedian.
    pub occupation: Option<String>,
    /// A few sentences about them.
    pub biography: Option<String>,
    /// Albums, films, books.
    pub works: Vec<String>,
}

fn small(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

impl Store {
    /// One event, whatever its state.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreError> {
        let Some(row) = sqlx::query_file!("src/store/sql/event.sql", id.0).fetch_optional(&self.pool).await?
        else {
            return Ok(None);
        };
        let artists = sqlx::query_as!(
            ArtistRecord,
            "select a.id, a.name, a.genre, a.occupation, a.biography, a.works
             from event_artists ea join artists a on a.id = ea.artist_id
             where ea.event_id = $1 order by ea.position",
            id.0
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(Some(EventRecord {
            id,
            name: row.name,
            description: row.description,
            venue: row.venue,
            city: row.city,
            address: row.address,
            artists,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            is_cancelled: row.is_cancelled,
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
        }))
    }

    /// Events at which somebody has reserved or bought something.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn events_with_claims(&self) -> Result<Vec<EventId>, StoreError> {
        // From event to event by the index, whatever number of claims each has.
        let ids = sqlx::query_scalar!(
            r#"with recursive claimed as (
                   (select event_id from seat_claims order by event_id limit 1)
                   union all
                   select (select c.event_id from seat_claims c where c.event_id > n.event_id
                           order by c.event_id limit 1)
                   from claimed n where n.event_id is not null
               ), claimed_areas as (
                   (select event_id from area_claims order by event_id limit 1)
                   union all
                   select (select c.event_id from area_claims c where c.event_id > n.event_id
                           order by c.event_id limit 1)
                   from claimed_areas n where n.event_id is not null
               )
               select event_id as "event_id!" from claimed where event_id is not null
               union
               select event_id from claimed_areas where event_id is not null"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(EventId).collect())
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
}
