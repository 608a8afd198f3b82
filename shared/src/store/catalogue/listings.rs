//! The read model of lists and search, which the database's triggers keep right: what is to come, and the archive.
//!
//! Each way of asking is one statement over an index that is in the order of the answer, so that a page costs the same
//! whatever number of events there is.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::small;
use crate::domain::{EventId, Money};
use crate::store::{Store, StoreError};

/// Events that one way of asking reaches; beyond that the answer is narrowed by dates.
const REACH: i64 = 10_000;
/// Events that are ranked for one search.
const RANKED: i64 = 300;
/// Of the soonest events, or latest, so many are read as they come before the index of words is asked.
const READ: i64 = 1_500;
/// Entries of the index of words that are read for one way of asking, about.
const ENTRIES: f64 = 30_000.0;
/// Events that are read because that index names them.
const MET: i64 = 3_000;
/// Where whole words find no more than this, their beginnings are looked for as well.
const FEW: i64 = 100;

/// An event as lists show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listing {
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
    /// The venue's address; may be empty.
    pub address: String,
    /// Who plays, in order.
    pub artists: Vec<ListedArtist>,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends, where that is known.
    pub ends_at: Option<DateTime<Utc>>,
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
    /// The cheapest tier.
    pub price_from: Option<Money>,
}

/// Who plays, as lists show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListedArtist {
    /// Their id.
    pub id: i64,
    /// As shown.
    pub name: String,
    /// As shown; may be empty.
    pub genre: String,
}

/// Which part of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The archive in place of what is to come.
    pub is_past: bool,
    /// So many before it.
    pub offset: u32,
    /// So many at most.
    pub limit: u32,
}

impl Wanted {
    /// The first and the last one, from 1, as PostgreSQL cuts arrays.
    fn slice(self) -> (i32, i32) {
        let column = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        (column(self.offset.saturating_add(1)), column(self.offset.saturating_add(self.limit)))
    }

    /// Those of all in order that are wanted.
    fn page(self, ids: Vec<i64>) -> Vec<i64> {
        let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        ids.into_iter().skip(count(self.offset)).take(count(self.limit)).collect()
    }

    /// The page lies within what is reached.
    pub fn is_reached(self) -> bool {
        i64::from(self.offset) + i64::from(self.limit) <= REACH
    }
}

/// What is listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ListingFilter {
    /// Begins then or later.
    pub from: Option<DateTime<Utc>>,
    /// Begins earlier.
    pub before: Option<DateTime<Utc>>,
    /// The whole name of somebody who plays, or their id.
    pub artist: Option<String>,
    /// The genre of somebody who plays.
    pub genre: Option<String>,
    /// The venue's city.
    pub city: Option<String>,
}

impl ListingFilter {
    /// The range of sort keys, the last one excluded.
    fn keys(&self, is_past: bool) -> (i64, i64) {
        let key = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
        let (from, before) = (key(self.from).unwrap_or(i64::MIN + 1), key(self.before).unwrap_or(i64::MAX));
        if is_past { (1_i64.saturating_sub(before), 1_i64.saturating_sub(from)) } else { (from, before) }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Found {
    /// The part that was wanted, in order.
    pub items: Vec<Listing>,
    /// How many there are.
    pub total: u64,
    /// There may be more than `total`.
    pub is_more: bool,
}

/// How many places an event has, and how many are free.
#[derive(Debug, Clone, Copy)]
pub struct LiveCount {
    /// Of which event.
    pub event: EventId,
    /// Seats and the capacity of areas.
    pub capacity: u64,
    /// Those that nobody has.
    pub free: u64,
}

/// Ids in order, and how many there are.
struct Ids {
    ids: Vec<i64>,
    total: i64,
}

/// Ids in order, how many there are, and whether there may be more.
struct Ranked {
    ids: Vec<i64>,
    total: i64,
    is_more: bool,
}

impl From<Ids> for Ranked {
    fn from(found: Ids) -> Self {
        Self { ids: found.ids, total: found.total.min(REACH), is_more: found.total > REACH }
    }
}

impl Store {
    /// Events by date: soonest first, or latest first in the archive.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn list_events(&self, filter: &ListingFilter, wanted: Wanted) -> Result<Found, StoreError> {
        self.read_with(|store| async move { store.list(filter, wanted).await }).await
    }

    async fn list(&self, filter: &ListingFilter, wanted: Wanted) -> Result<Found, StoreError> {
        let found = match (&filter.artist, &filter.genre, &filter.city) {
            (Some(artist), ..) => self.ids_by_artist(artist, filter, wanted).await?,
            (None, Some(genre), city) => self.ids_by_genre(genre, city.as_deref(), filter, wanted).await?,
            (None, None, Some(city)) => self.ids_by_city(city, filter, wanted).await?,
            (None, None, None) => self.ids_by_date(filter, wanted).await?,
        };
        self.listings_of(found.into(), wanted).await
    }

    /// Events by words, best first. `prefixes` is what [`crate::shop`] makes of the same words. The three hundred that come
    /// first are ranked, and of words that are all common only the events of some months are looked through; either is told
    /// as more.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn search_events(
        &self,
        text: &str,
        prefixes: &str,
        wanted: Wanted,
    ) -> Result<Found, StoreError> {
        self.read_with(|store| async move { store.search(text, prefixes, wanted).await }).await
    }

    async fn search(&self, text: &str, prefixes: &str, wanted: Wanted) -> Result<Found, StoreError> {
        // The pool's connections read by plain indexes only, and keep plans; words are looked up by bitmaps, and a plan that
        // was made for an empty catalogue would sort a full one.
        let mut tx = self
            .pool
            .begin_with(
                "begin read only; set local enable_bitmapscan = on; set local plan_cache_mode = force_custom_plan",
            )
            .await?;
        let mut found = search(&mut tx, (text, ""), wanted, &[]).await?;
        if found.total <= FEW && !prefixes.is_empty() {
            let known = found;
            found = search(&mut tx, (text, prefixes), wanted, &known.ids).await?;
            found.is_more |= known.is_more;
        }
        tx.commit().await?;
        found.ids = wanted.page(found.ids);
        self.listings_of(found, wanted).await
    }

    async fn ids_by_date(&self, filter: &ListingFilter, wanted: Wanted) -> Result<Ids, StoreError> {
        let ((low, high), (first, last)) = (filter.keys(wanted.is_past), wanted.slice());
        let ids = sqlx::query_as!(
            Ids,
            r#"select coalesce((array_agg(event_id))[$4:$5], '{}') as "ids!", count(*) as "total!" from (
                   select event_id from listed_events
                   where is_past = $1 and sort_key >= first_sort_key($1, $2) and sort_key < $3
                   order by sort_key, event_id limit $6) found"#,
            wanted.is_past,
            low,
            high,
            first,
            last,
            REACH + 1
        );
        Ok(ids.fetch_one(&self.pool).await?)
    }

    async fn ids_by_city(
        &self,
        city: &str,
        filter: &ListingFilter,
        wanted: Wanted,
    ) -> Result<Ids, StoreError> {
        let ((low, high), (first, last)) = (filter.keys(wanted.is_past), wanted.slice());
        let ids = sqlx::query_as!(
            Ids,
            r#"select coalesce((array_agg(event_id))[$4:$5], '{}') as "ids!", count(*) as "total!" from (
                   select event_id from listed_events
                   where is_past = $1 and city_key = lower($7)
                       and sort_key >= first_sort_key($1, $2) and sort_key < $3
                   order by sort_key, event_id limit $6) found"#,
            wanted.is_past,
            low,
            high,
            first,
            last,
            REACH + 1,
            city
        );
        Ok(ids.fetch_one(&self.pool).await?)
    }

    async fn ids_by_genre(
        &self,
        genre: &str,
        city: Option<&str>,
        filter: &ListingFilter,
        wanted: Wanted,
    ) -> Result<Ids, StoreError> {
        let ((low, high), (first, last)) = (filter.keys(wanted.is_past), wanted.slice());
        let Some(city) = city else {
            let ids = sqlx::query_as!(
                Ids,
                r#"select coalesce((array_agg(event_id))[$4:$5], '{}') as "ids!", count(*) as "total!" from (
                       select event_id from listed_genres
                       where is_past = $1 and genre = lower($7)
                           and sort_key >= first_sort_key($1, $2) and sort_key < $3
                       order by sort_key, event_id limit $6) found"#,
                wanted.is_past,
                low,
                high,
                first,
                last,
                REACH + 1,
                genre
            );
            return Ok(ids.fetch_one(&self.pool).await?);
        };
        let ids = sqlx::query_as!(
            Ids,
            r#"select coalesce((array_agg(event_id))[$4:$5], '{}') as "ids!", count(*) as "total!" from (
                   select event_id from listed_genres
                   where is_past = $1 and genre = lower($7) and city_key = lower($8)
                       and sort_key >= first_sort_key($1, $2) and sort_key < $3
                   order by sort_key, event_id limit $6) found"#,
            wanted.is_past,
            low,
            high,
            first,
            last,
            REACH + 1,
            genre,
            city
        );
        Ok(ids.fetch_one(&self.pool).await?)
    }

    /// Somebody plays at some thousand events at most, so these are read and sorted.
    async fn ids_by_artist(
        &self,
        artist: &str,
        filter: &ListingFilter,
        wanted: Wanted,
    ) -> Result<Ids, StoreError> {
        let ((low, high), (first, last)) = (filter.keys(wanted.is_past), wanted.slice());
        let ids = sqlx::query_file_as!(
            Ids,
            "src/store/sql/events_of_artist.sql",
            wanted.is_past,
            low,
            high,
            first,
            last,
            REACH + 1,
            artist,
            artist.parse::<i64>().ok(),
            filter.genre,
            filter.city
        );
        Ok(ids.fetch_one(&self.pool).await?)
    }

    async fn listings_of(&self, found: Ranked, wanted: Wanted) -> Result<Found, StoreError> {
        let rows = sqlx::query!(
            r#"select event_id, name, description, venue, city, address,
                   artists as "artists: Json<Vec<ListedArtist>>", starts_at, ends_at, sales_open_at,
                   sales_close_at, seat_limit, hold_seconds, layout_version, price_minor, currency
               from listed_events where is_past = $1 and event_id = any($2)"#,
            wanted.is_past,
            &found.ids
        )
        .fetch_all(&self.pool)
        .await?;
        let listings = rows.into_iter().map(|row| {
            let price_from =
                row.price_minor.zip(row.currency).map(|(amount, currency)| Money { amount, currency });
            let listing = Listing {
                id: EventId(row.event_id),
                name: row.name,
                description: row.description,
                venue: row.venue,
                city: row.city,
                address: row.address,
                artists: row.artists.0,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
                sales_open_at: row.sales_open_at,
                sales_close_at: row.sales_close_at,
                seat_limit: small(row.seat_limit),
                hold_seconds: small(row.hold_seconds),
                layout_version: small(row.layout_version),
                price_from,
            };
            (row.event_id, listing)
        });
        let mut listings: HashMap<i64, Listing> = listings.collect();
        Ok(Found {
            items: found.ids.iter().filter_map(|id| listings.remove(id)).collect(),
            total: u64::try_from(found.total).unwrap_or(0),
            is_more: found.is_more,
        })
    }

    /// What is left of these events, counted now.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn live_counts(&self, events: &[EventId]) -> Result<Vec<LiveCount>, StoreError> {
        let ids: Vec<i64> = events.iter().map(|event| event.0).collect();
        // What is being paid for is kept until its order is closed, whatever the clock says.
        let rows = sqlx::query!(
            r#"select e.id, e.capacity, (
                       select count(*) from seat_claims c
                       where c.event_id = e.id and (c.status = 'sold' or c.expires_at > clock_timestamp()
                           or (select b.status = 'pending_payment' from bookings b where b.id = c.booking_id))
                   ) + (
                       select count(*) from area_claims c
                       where c.event_id = e.id and (c.status = 'sold' or c.expires_at > clock_timestamp()
                           or (select b.status = 'pending_payment' from bookings b where b.id = c.booking_id))
                   ) as "taken!"
               from events e where e.id = any($1)"#,
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let counts = rows.into_iter().map(|row| LiveCount {
            event: EventId(row.id),
            capacity: count(row.capacity.into()),
            free: count(i64::from(row.capacity) - row.taken),
        });
        Ok(counts.collect())
    }
}

/// All that is ranked, best first: events with the words, or with their beginnings as well as those that are known.
async fn search(
    connection: &mut PgConnection,
    (text, prefixes): (&str, &str),
    wanted: Wanted,
    known: &[i64],
) -> Result<Ranked, StoreError> {
    let ranked = sqlx::query_file_as!(
        Ranked,
        "src/store/sql/search.sql",
        wanted.is_past,
        text,
        prefixes,
        RANKED,
        READ,
        ENTRIES,
        known,
        MET
    );
    Ok(ranked.fetch_one(connection).await?)
}
