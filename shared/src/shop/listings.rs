//! Lists and search of events, kept ready in Redis for a while under the state of the catalogue they were read in.
//!
//! PostgreSQL names that state and every gateway asks for the name twice a second, so a change is seen within a second and
//! nothing has to be removed. Without Redis the answers are read from PostgreSQL, each time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::queue::Queue;
use crate::store::{Found, ListingFilter, ROUND, STATEMENT, Store, StoreError, WantedListings, in_time};

/// How often the state of the catalogue is asked for.
const LOOK: Duration = Duration::from_millis(500);
/// A state that is older than this is not relied on: PostgreSQL could not be asked.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// How long an answer is kept, in seconds: what has begun meanwhile is left out when it is read.
const KEPT_S: u64 = 60;
/// Redis is given this long; an answer from PostgreSQL takes no longer.
const PATIENCE: Duration = Duration::from_millis(50);
/// After a failure Redis is left alone for this long.
const REST: Duration = Duration::from_secs(1);
/// Locks, so that of many who ask the same only one asks PostgreSQL.
const SHARDS: usize = 64;
/// Words of a search whose beginnings are looked for.
const WORDS: usize = 8;

/// Lists and search; clones share them.
#[derive(Clone)]
pub struct Listings {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    queue: Queue,
    state: RwLock<Option<State>>,
    failed: Mutex<Option<Instant>>,
    asking: [tokio::sync::Mutex<()>; SHARDS],
}

/// The state of the catalogue, and PostgreSQL's clock when it was asked for.
struct State {
    version: String,
    at: DateTime<Utc>,
    read: Instant,
}

#[derive(Debug)]
enum Question<'a> {
    List(&'a ListingFilter),
    Search(&'a str),
}

impl Listings {
    /// Starts to follow the state of the catalogue, until `shutdown`.
    pub fn start(store: Store, queue: Queue, shutdown: &CancellationToken) -> Self {
        let asking = std::array::from_fn(|_| tokio::sync::Mutex::default());
        let inner = Inner { store, queue, state: RwLock::default(), failed: Mutex::default(), asking };
        let listings = Self { inner: Arc::new(inner) };
        let (following, shutdown) = (listings.clone(), shutdown.clone());
        tokio::spawn(async move { shutdown.run_until_cancelled(following.follow()).await });
        listings
    }

    /// Events by date: soonest first, or latest first in the archive.
    ///
    /// # Errors
    /// PostgreSQL is away, and nothing is kept.
    pub async fn list(&self, filter: &ListingFilter, wanted: WantedListings) -> Result<Found, StoreError> {
        self.answer(&Question::List(filter), wanted).await
    }

    /// Events by words in English, Ukrainian or Russian, best first.
    ///
    /// # Errors
    /// PostgreSQL is away, and nothing is kept.
    pub async fn search(&self, text: &str, wanted: WantedListings) -> Result<Found, StoreError> {
        self.answer(&Question::Search(text), wanted).await
    }

    async fn follow(&self) {
        loop {
            match in_time(STATEMENT, self.inner.store.catalogue_version()).await {
                Ok((version, at)) => {
                    *self.inner.state.write() = Some(State { version, at, read: Instant::now() });
                }
                Err(error) => tracing::debug!(
                    error = crate::telemetry::chain(&error),
                    "the state of the catalogue is not known"
                ),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn answer(&self, question: &Question<'_>, wanted: WantedListings) -> Result<Found, StoreError> {
        let Some((version, now)) = self.state() else { return self.ask(question, wanted).await };
        let digest = Sha256::digest(format!("{question:?} {wanted:?}"));
        let digest = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
        let key = self.inner.queue.keys().catalogue(&version, digest);
        // What has begun since an answer was made is no longer to come; it is made anew without that.
        let is_current =
            |kept: &Found| wanted.is_past || kept.items.iter().all(|event| event.starts_at > now);
        if let Some(kept) = self.kept(&key).await.filter(is_current) {
            return Ok(kept);
        }
        let shard = usize::try_from(digest % SHARDS as u128).unwrap_or(0);
        let _asking = self.inner.asking[shard].lock().await;
        if let Some(kept) = self.kept(&key).await.filter(is_current) {
            return Ok(kept);
        }
        // Others wait for this answer.
        let found = in_time(ROUND, self.ask(question, wanted)).await?;
        self.keep(&key, &found).await;
        Ok(found)
    }

    async fn ask(&self, question: &Question<'_>, wanted: WantedListings) -> Result<Found, StoreError> {
        match question {
            Question::List(filter) => self.inner.store.list_events(filter, wanted).await,
            Question::Search(text) => self.inner.store.search_events(text, &beginnings(text), wanted).await,
        }
    }

    /// The state of the catalogue, if it is known, and PostgreSQL's clock carried on.
    fn state(&self) -> Option<(String, DateTime<Utc>)> {
        let state = self.inner.state.read();
        let state = state.as_ref().filter(|state| state.read.elapsed() < KNOWN_FOR)?;
        Some((state.version.clone(), state.at + state.read.elapsed()))
    }

    async fn kept(&self, key: &str) -> Option<Found> {
        let bytes: Option<Vec<u8>> = self.redis(redis::cmd("GET").arg(key)).await?;
        let found = serde_json::from_slice(&bytes?).ok()?;
        metrics::counter!("usher_listings_kept_total").increment(1);
        Some(found)
    }

    async fn keep(&self, key: &str, found: &Found) {
        let Ok(bytes) = serde_json::to_vec(found) else { return };
        let _: Option<()> = self.redis(redis::cmd("SET").arg(key).arg(bytes).arg("EX").arg(KEPT_S)).await;
    }

    /// `None` when Redis is away or slow; it is then left alone for a moment.
    async fn redis<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        if self.inner.failed.lock().is_some_and(|failed| failed.elapsed() < REST) {
            return None;
        }
        let mut connection = self.inner.queue.connection();
        let answered = tokio::time::timeout(PATIENCE, command.query_async(&mut connection)).await;
        if let Ok(Ok(value)) = answered {
            return Some(value);
        }
        *self.inner.failed.lock() = Some(Instant::now());
        None
    }
}

/// The words of a search as a query of PostgreSQL's that finds beginnings too; nothing when the words have signs that mean
/// something to the search.
///
/// The last word may not be typed to its end. PostgreSQL has no stemmer for Ukrainian, so of words in Cyrillic letters
/// the last two letters do not matter, where enough is left.
fn beginnings(text: &str) -> String {
    let has_signs = text.contains('"')
        || text.split_whitespace().any(|word| word.starts_with('-') || word.eq_ignore_ascii_case("or"));
    if has_signs {
        return String::new();
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(WORDS)
        .collect();
    let last = words.len().saturating_sub(1);
    let parts = words.iter().enumerate().map(|(at, word)| {
        let count = word.chars().count();
        let is_cyrillic = word.chars().any(|letter| ('\u{400}'..='\u{4ff}').contains(&letter));
        let kept = if is_cyrillic { count - count.saturating_sub(4).min(2) } else { count };
        let beginning: String = word.chars().take(kept).collect();
        let is_open = count >= 3 && (is_cyrillic || at == last);
        format!("'{beginning}'{}", if is_open { ":*" } else { "" })
    });
    parts.collect::<Vec<_>>().join(" & ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_words_are_looked_for_unless_signs_say_otherwise() {
        assert_eq!(beginnings("Night tr"), "'night' & 'tr'");
        assert_eq!(beginnings("Night tram"), "'night' & 'tram':*");
        assert_eq!(beginnings("Концерту"), "'концер':*");
        assert_eq!(beginnings("п'ять зірок"), "'п' & 'ять':* & 'зіро':*");
        for signs in ["\"night tram\"", "night -tram", "night OR tram", " ", "'); drop table"] {
            let made = beginnings(signs);
            assert!(!made.contains('"') && !made.contains(';'), "{made}");
        }
        assert_eq!(beginnings("night -tram"), "");
        assert_eq!(beginnings("'); drop"), "'drop':*");
    }
}
