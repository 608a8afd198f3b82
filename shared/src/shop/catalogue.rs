//! Events and layouts, cached: every booking looks at them, and they hardly change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use parking_lot::RwLock;

use crate::domain::{EventId, Layout, SeatId};
use crate::store::{EventRecord, ROUND, Store, StoreError, in_time};

/// How old an event may be.
const FRESH: Duration = Duration::from_secs(5);
/// How old it, or word that there is no such seat, may be when a seat is asked for that it does not have.
const RATHER_FRESH: Duration = Duration::from_millis(250);
/// Unknown ids remembered at most, so that asking for made-up ones does not fill the memory.
const UNKNOWN: usize = 10_000;
/// Locks, so that reading one event does not hold up another.
const SHARDS: usize = 16;
/// An event that nobody has asked for in this time is forgotten when there are many.
const IDLE: Duration = Duration::from_mins(10);
/// Events kept without forgetting any.
const MANY: usize = 64;

/// An event with its places.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event.
    pub record: Arc<EventRecord>,
    /// Its places.
    pub layout: Arc<Layout>,
    read: Instant,
}

impl Event {
    /// PostgreSQL's clock, carried on from when the event was read.
    pub fn now(&self) -> DateTime<Utc> {
        self.record.read_at + self.read.elapsed()
    }

    /// Whether it is being sold.
    pub fn is_on_sale(&self) -> bool {
        !self.record.is_cancelled
            && (self.record.sales_open_at..=self.record.sales_close_at).contains(&self.now())
    }
}

/// Reads events through a cache; clones share it.
#[derive(Clone)]
pub struct Catalogue {
    store: Store,
    events: Arc<RwLock<HashMap<EventId, Known>>>,
    seats: Arc<RwLock<HashMap<SeatId, (Option<EventId>, Instant)>>>,
    refreshing: Arc<Gates>,
    loading: Arc<Gates>,
}

/// Passed by one reader at a time, who leaves word if it got nothing.
type Gates = [tokio::sync::Mutex<Option<Failed>>; SHARDS];

#[derive(Clone, Copy)]
struct Failed {
    event: EventId,
    at: Instant,
}

#[derive(Clone)]
struct Known {
    event: Option<Event>,
    since: Instant,
}

impl Catalogue {
    /// An empty cache.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            events: Arc::default(),
            seats: Arc::default(),
            refreshing: Arc::default(),
            loading: Arc::default(),
        }
    }

    /// An event, at most some seconds old; `None` when there is none.
    ///
    /// # Errors
    /// PostgreSQL is away and nothing is known from before.
    pub async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        match self.fresh(id) {
            Some(event) => Ok(event),
            // Boxed as it is seldom: else every request would carry the room for it.
            None => Box::pin(self.read(id)).await,
        }
    }

    async fn read(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let before = self.events.read().get(&id).and_then(|known| known.event.clone());
        let shard = usize::try_from(id.0.unsigned_abs() % SHARDS as u64).unwrap_or(0);
        // What is known is read anew by one, while the others go on with it; what is not known is read by one,
        // and the others wait: a rush must not ask for one layout a thousand times.
        let began = Instant::now();
        let mut reading = match &before {
            Some(event) => match self.refreshing[shard].try_lock() {
                Ok(reading) => reading,
                Err(_) => return Ok(Some(event.clone())),
            },
            None => self.loading[shard].lock().await,
        };
        if let Some(event) = self.fresh(id) {
            return Ok(event);
        }
        // Who waited for one that failed does not try as long again, one after another.
        if reading.is_some_and(|failed| failed.event == id && failed.at > began) {
            return Err(StoreError::Late(began.elapsed()));
        }
        let event = match in_time(ROUND, self.load(id, before.as_ref())).await {
            Ok(event) => event,
            Err(error) if before.is_some() => {
                tracing::warn!(
                    event.id = id.0,
                    error = crate::telemetry::chain(&error),
                    "event could not be read anew; going on with the known one"
                );
                before
            }
            Err(error) => {
                *reading = Some(Failed { event: id, at: Instant::now() });
                return Err(error);
            }
        };
        let mut events = self.events.write();
        if event.is_none() && events.len() > UNKNOWN {
            events.retain(|_, known| known.event.is_some());
        }
        if events.len() > MANY {
            events.retain(|_, known| known.since.elapsed() < IDLE);
        }
        events.insert(id, Known { event: event.clone(), since: Instant::now() });
        Ok(event)
    }

    /// An event; read anew when it does not have all of these seats, as they may have been added just now.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub async fn event_with(&self, id: EventId, seats: &[SeatId]) -> Result<Option<Event>, StoreError> {
        let event = self.event(id).await?;
        let has_all = |event: &Event| seats.iter().all(|seat| event.layout.index_of(*seat).is_some());
        if event.as_ref().is_none_or(has_all) {
            return Ok(event);
        }
        if let Some(known) = self.events.write().get_mut(&id)
            && known.since.elapsed() > RATHER_FRESH
            && let Some(long_ago) = Instant::now().checked_sub(FRESH)
        {
            known.since = long_ago;
        }
        self.event(id).await
    }

    /// The event that a seat belongs to.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn event_of_seat(&self, seat: SeatId) -> Result<Option<EventId>, StoreError> {
        let cached = self.events.read().values().find_map(|known| {
            let layout = &known.event.as_ref()?.layout;
            layout.index_of(seat).map(|_| layout.event)
        });
        if cached.is_some() {
            return Ok(cached);
        }
        if let Some((event, since)) = self.seats.read().get(&seat)
            && since.elapsed() < if event.is_some() { FRESH } else { RATHER_FRESH }
        {
            return Ok(*event);
        }
        let event = self.store.event_of_seat(seat).await?;
        let mut seats = self.seats.write();
        if seats.len() > UNKNOWN {
            seats.clear();
        }
        seats.insert(seat, (event, Instant::now()));
        Ok(event)
    }

    fn fresh(&self, id: EventId) -> Option<Option<Event>> {
        let events = self.events.read();
        let known = events.get(&id)?;
        (known.since.elapsed() < FRESH).then(|| known.event.clone())
    }

    async fn load(&self, id: EventId, before: Option<&Event>) -> Result<Option<Event>, StoreError> {
        let Some(record) = self.store.event(id).await? else { return Ok(None) };
        let unchanged = before.filter(|before| before.layout.version == record.layout_version);
        let layout = match unchanged {
            Some(before) => before.layout.clone(),
            None => match self.store.layout(id).await? {
                Some(layout) => Arc::new(layout),
                None => return Ok(None),
            },
        };
        Ok(Some(Event { record: Arc::new(record), layout, read: Instant::now() }))
    }
}
