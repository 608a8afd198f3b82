//! What a gateway knows of the lanes and the seats: it follows every partition's feed and answers from memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use super::{Fault, LiveSeats, copy_controls};
use crate::domain::{Envelope, EventId, Layout, Outcome, UserId};
use crate::queue::board::LaneBoard;
use crate::queue::client::Connection;
use crate::queue::control::Pause;
use crate::queue::enqueuer::Enqueuer;
use crate::queue::feed::{Change, Done, Entry, SeatsChanged};
use crate::queue::{PARTITIONS, Partition, Queue, QueueError};
use crate::store::{STATEMENT, Store, in_time};

/// How long one read of a feed waits.
const READ: Duration = Duration::from_secs(1);
/// Between one read and the next: what comes meanwhile is read at once.
const BETWEEN_READS: Duration = Duration::from_millis(2);
/// Jobs read at once when a lane is loaded.
const PAGE: usize = 1_000;
/// After a fault, before the next try.
const PAUSE: Duration = Duration::from_millis(200);
/// How old the seats of an event may be before they are read anew from PostgreSQL, which mends whatever a lost
/// announcement left wrong.
const SEATS_FRESH: Duration = Duration::from_secs(30);

/// Somebody who wants to hear what happens in the lanes.
pub trait Listener: Send + Sync + 'static {
    /// Called for each change, after it was put in.
    fn heard(&self, lane: &Lane, change: &Change);
}

/// One lane in memory.
pub struct Lane {
    /// Whose it is.
    pub event: EventId,
    /// Places.
    pub board: RwLock<LaneBoard>,
    /// Seats, once somebody asked for them.
    pub seats: RwLock<Option<LiveSeats>>,
    /// Jobs that have not ended and that this gateway added, or found waiting when it started: what it re-enters if
    /// Redis forgets them. As bytes, for there may be a million.
    issued: Mutex<BTreeMap<u64, Box<[u8]>>>,
    loading: tokio::sync::Mutex<Loading>,
    /// When somebody last asked for it, in seconds since 1970.
    asked_s: AtomicU64,
    /// What the feed said while seats were being read; put in on top of what was read.
    missed: Mutex<Option<Vec<Change>>>,
}

#[derive(Default)]
struct Loading {
    since: Option<std::time::Instant>,
}

/// All lanes of this process; clones share them.
#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    queue: Queue,
    enqueuer: Enqueuer,
    listener: Box<dyn Listener>,
    lanes: RwLock<HashMap<EventId, Arc<Lane>>>,
    following: Vec<AtomicBool>,
    /// Which partitions' lanes have been loaded since the process began.
    loaded: Vec<AtomicBool>,
    /// The pause of the whole queue, by partition, for lanes that are yet to come.
    whole_pause: Vec<RwLock<Pause>>,
    next_version: AtomicU64,
}

impl Lane {
    pub(super) fn new(event: EventId) -> Self {
        Self {
            event,
            board: RwLock::new(LaneBoard::new(event)),
            seats: RwLock::new(None),
            issued: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            missed: Mutex::default(),
            asked_s: AtomicU64::new(now_s()),
        }
    }

    fn note_asked(&self) {
        let now_s = now_s();
        // Written once a second: to write it with every poll takes it away from the other processors each time.
        if self.asked_s.load(Ordering::Relaxed) != now_s {
            self.asked_s.store(now_s, Ordering::Relaxed);
        }
    }

    /// Whether nobody has asked for it since then, in seconds since 1970.
    pub(super) fn is_idle_since(&self, second: u64) -> bool {
        self.asked_s.load(Ordering::Relaxed) < second
    }

    /// Whether a lane that begins empty would tell the same.
    pub(super) fn is_vacant(&self) -> bool {
        self.issued.lock().is_empty() && self.board.read().is_vacant()
    }

    /// Remembers a job that this gateway added, or found waiting.
    pub fn note_issued(&self, number: u64, envelope: &Envelope) {
        self.issued.lock().insert(number, envelope.encode().into());
    }

    /// Whether this gateway added the job, or found it waiting, and has not heard of its end.
    pub fn is_issued(&self, number: u64) -> bool {
        self.issued.lock().contains_key(&number)
    }

    /// The jobs that this gateway remembers and has not heard the end of, a page after a number.
    pub(super) fn issued_after(&self, after: u64, at_most: usize) -> Vec<(u64, Envelope)> {
        let issued = self.issued.lock();
        let page = issued.range(after + 1..).take(at_most);
        page.filter_map(|(number, job)| Some((*number, Envelope::decode(job).ok()?))).collect()
    }

    pub(super) fn forget_issued(&self, number: u64) {
        self.issued.lock().remove(&number);
    }

    fn apply(&self, change: &Change) {
        let (unwanted, given_back) = {
            let mut board = self.board.write();
            board.apply(change, now_s());
            (board.take_unwanted(), given_back(change, &board))
        };
        if let Change::Done(done) = change {
            let mut issued = self.issued.lock();
            for (number, ..) in &done.won {
                issued.remove(number);
            }
            for (number, ..) in &done.failed {
                issued.remove(number);
            }
        }
        if let Some(missed) = self.missed.lock().as_mut() {
            missed.push(change.clone());
            missed.extend(given_back.clone());
        }
        if let Some(seats) = self.seats.write().as_mut() {
            seats.apply(change);
            if let Some(change) = &given_back {
                seats.apply(change);
            }
            for seat in unwanted {
                seats.touch(seat);
            }
        }
    }
}

/// What a batch tells as won whose winners had left, and had given it back before it was told.
fn given_back(change: &Change, board: &LaneBoard) -> Option<Change> {
    let Change::Done(done) = change else { return None };
    let mut freed = SeatsChanged::default();
    for (_, _, won) in done.won.iter().filter(|(number, ..)| board.has_left(*number)) {
        freed.seats.extend(&won.seats);
        freed.slots.extend(&won.slots);
    }
    (!freed.is_nothing_freed()).then_some(Change::Seats(freed))
}

/// Seconds since 1970, for paces and for how long outcomes are remembered; decides nothing.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Lanes {
    /// Starts to follow every partition, until `shutdown`.
    pub fn start(
        store: Store,
        queue: Queue,
        enqueuer: Enqueuer,
        listener: Box<dyn Listener>,
        shutdown: &CancellationToken,
    ) -> Self {
        // Versions of different processes must differ; the high half tells them apart.
        let first_version = u64::from(rand::random::<u32>() >> 12) << 32;
        let lanes = Self {
            inner: Arc::new(Inner {
                store,
                queue,
                enqueuer,
                listener,
                lanes: RwLock::default(),
                following: (0..PARTITIONS).map(|_| AtomicBool::new(false)).collect(),
                loaded: (0..PARTITIONS).map(|_| AtomicBool::new(false)).collect(),
                whole_pause: (0..PARTITIONS).map(|_| RwLock::default()).collect(),
                next_version: AtomicU64::new(first_version),
            }),
        };
        for partition in Partition::all() {
            let (lanes, shutdown) = (lanes.clone(), shutdown.clone());
            tokio::spawn(async move {
                shutdown.run_until_cancelled(lanes.follow(partition)).await;
            });
        }
        let (tidied, shutdown) = (lanes.clone(), shutdown.clone());
        tokio::spawn(async move { shutdown.run_until_cancelled(tidied.forget_idle()).await });
        lanes
    }

    /// Whether every feed is being followed.
    pub fn is_following(&self) -> bool {
        self.inner.following.iter().all(|following| following.load(Ordering::Relaxed))
    }

    /// Whether every lane has been loaded, however long ago.
    pub fn has_loaded(&self) -> bool {
        self.inner.loaded.iter().all(|loaded| loaded.load(Ordering::Relaxed))
    }

    /// Whether the feed of an event's partition is being followed.
    pub fn is_following_lane(&self, event: EventId) -> bool {
        self.inner
            .following
            .get(Partition::of(event).index())
            .is_some_and(|following| following.load(Ordering::Relaxed))
    }

    /// A lane; one that nobody has used yet is empty.
    pub fn lane(&self, event: EventId) -> Arc<Lane> {
        if let Some(lane) = self.inner.lanes.read().get(&event) {
            lane.note_asked();
            return lane.clone();
        }
        let mut lanes = self.inner.lanes.write();
        let lane = lanes.entry(event).or_insert_with(|| {
            let lane = Lane::new(event);
            if let Some(pause) = self.inner.whole_pause.get(Partition::of(event).index()) {
                let change = Change::Control { pause: pause.read().clone(), is_whole: true };
                lane.board.write().apply(&change, now_s());
            }
            Arc::new(lane)
        });
        lane.note_asked();
        lane.clone()
    }

    /// A lane that somebody has used; nothing is remembered of one that nobody has.
    pub fn known(&self, event: EventId) -> Option<Arc<Lane>> {
        self.inner.lanes.read().get(&event).cloned()
    }

    /// The pause of an event's lane, whether or not anybody has used it.
    pub fn pause(&self, event: EventId) -> Pause {
        match self.known(event) {
            Some(lane) => lane.board.read().pause().clone(),
            None => {
                let whole = self.inner.whole_pause.get(Partition::of(event).index());
                whole.map(|pause| pause.read().clone()).unwrap_or_default()
            }
        }
    }

    fn note_whole_pause(&self, partition: Partition, pause: Pause) {
        if let Some(known) = self.inner.whole_pause.get(partition.index()) {
            *known.write() = pause;
        }
    }

    /// Every lane of this process.
    pub fn all(&self) -> Vec<Arc<Lane>> {
        self.inner.lanes.read().values().cloned().collect()
    }

    /// All lanes, and what versions of seats are drawn from.
    pub(super) fn kept(&self) -> (&RwLock<HashMap<EventId, Arc<Lane>>>, &AtomicU64) {
        (&self.inner.lanes, &self.inner.next_version)
    }

    pub(super) fn of_partition(&self, partition: Partition) -> Vec<Arc<Lane>> {
        let lanes = self.inner.lanes.read();
        lanes.values().filter(|lane| Partition::of(lane.event) == partition).cloned().collect()
    }

    /// Puts in what was read from PostgreSQL instead of the feed, and tells whoever listens.
    pub(super) fn note_outcomes(&self, lane: &Lane, outcomes: HashMap<u64, (UserId, Outcome)>) {
        let mut done = Done::default();
        for (number, (owner, outcome)) in outcomes {
            done.push(number, owner, &outcome);
            lane.forget_issued(number);
            // The board only: the seats may have changed hands since.
            lane.board.write().note_ended(number, owner, outcome, now_s());
        }
        self.inner.listener.heard(lane, &Change::Done(done));
    }

    pub(super) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    /// Makes sure that the seats of an event are in memory and not stale.
    ///
    /// # Errors
    /// PostgreSQL is away and nothing is in memory.
    pub async fn load_seats(&self, lane: &Lane, layout: &Arc<Layout>) -> Result<(), Fault> {
        let is_current = || lane.seats.read().as_ref().map(|seats| seats.layout.version == layout.version);
        let mut loading = match is_current() {
            // Somebody else reads them anew; what is there is good enough meanwhile.
            Some(true) => match lane.loading.try_lock() {
                Ok(loading) => loading,
                Err(_) => return Ok(()),
            },
            Some(false) | None => lane.loading.lock().await,
        };
        let is_fresh = loading.since.is_some_and(|since| since.elapsed() < SEATS_FRESH);
        if is_current() == Some(true) && is_fresh {
            return Ok(());
        }
        // Boxed as it is seldom: else every request would carry the room for it.
        Box::pin(self.read_seats(lane, layout, &mut loading)).await
    }

    async fn read_seats(
        &self,
        lane: &Lane,
        layout: &Arc<Layout>,
        loading: &mut Loading,
    ) -> Result<(), Fault> {
        *lane.missed.lock() = Some(Vec::new());
        let read = in_time(STATEMENT, self.inner.store.live_claims(lane.event)).await;
        let mut seats = lane.seats.write();
        let missed = lane.missed.lock().take().unwrap_or_default();
        match read {
            Ok(claims) => {
                let before = seats.as_ref().map_or(0, LiveSeats::version);
                let version = self.inner.next_version.fetch_add(1 << 12, Ordering::Relaxed).max(before + 1);
                let mut fresh = LiveSeats::new(layout.clone(), &claims.held, version);
                for change in &missed {
                    fresh.apply(change);
                }
                if let Some(before) = seats.as_ref() {
                    fresh.follow(before);
                }
                *seats = Some(fresh);
                loading.since = Some(std::time::Instant::now());
                Ok(())
            }
            Err(error) if seats.is_some() => {
                tracing::warn!(
                    event.id = lane.event.0,
                    error = crate::telemetry::chain(&error),
                    "seats could not be read anew; going on with the known ones"
                );
                loading.since = Some(std::time::Instant::now());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn follow(&self, partition: Partition) {
        let mut known = Known::default();
        loop {
            let followed = self.follow_connected(partition, &mut known).await;
            self.set_following(partition, false);
            if let Err(error) = followed {
                tracing::warn!(
                    partition = partition.index(),
                    error = crate::telemetry::chain(&error),
                    "feed is not being followed; trying again"
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn set_following(&self, partition: Partition, is_following: bool) {
        if let Some(following) = self.inner.following.get(partition.index()) {
            following.store(is_following, Ordering::Relaxed);
        }
        if let Some(loaded) = self.inner.loaded.get(partition.index()) {
            loaded.fetch_or(is_following, Ordering::Relaxed);
        }
    }

    async fn follow_connected(&self, partition: Partition, known: &mut Known) -> Result<(), Fault> {
        let mut connection = self.inner.queue.blocking_connection(READ).await?;
        loop {
            self.catch_up(partition, known).await?;
            // After a mere cut the feed is read on from where it was; a gap in it is noticed by its sequence.
            if known.after.is_none() {
                let end = self.inner.queue.feed_end(partition).await?;
                self.load_lanes(partition).await?;
                // What ended while nobody was listening is read from PostgreSQL.
                super::recover::reenter_unknown(self, partition).await?;
                for lane in self.of_partition(partition) {
                    lane.loading.lock().await.since = None;
                }
                known.seq = 0;
                known.after = Some(end);
            }
            self.set_following(partition, true);
            while let Some(after) = known.after.clone() {
                known.after = self.read_on(&mut connection, partition, known, &after).await?;
                tokio::time::sleep(BETWEEN_READS).await;
            }
            self.set_following(partition, false);
        }
    }

    /// Reads what comes after an entry and puts it in; `None` when the lanes must be loaded anew.
    async fn read_on(
        &self,
        connection: &mut Connection,
        partition: Partition,
        known: &mut Known,
        after: &str,
    ) -> Result<Option<String>, QueueError> {
        let entries = self.inner.queue.read_feed(connection, partition, after, READ).await?;
        if entries.is_empty() {
            let state = self.inner.queue.partition_state(partition).await?;
            let least = known.highest.max(self.inner.enqueuer.seen_seq(partition));
            let is_whole = state.epoch == known.epoch && state.seq >= least;
            return Ok(is_whole.then(|| after.to_owned()));
        }
        let mut last = after.to_owned();
        for entry in entries {
            if entry.epoch != known.epoch || (known.seq > 0 && entry.seq != known.seq + 1) {
                return Ok(None);
            }
            known.seq = entry.seq;
            known.highest = known.highest.max(entry.seq);
            self.put_in(&entry, partition);
            last = entry.id;
        }
        Ok(Some(last))
    }

    fn put_in(&self, entry: &Entry, partition: Partition) {
        if let Change::Control { pause, is_whole: true } = &entry.change {
            self.note_whole_pause(partition, pause.clone());
            for lane in self.of_partition(partition) {
                lane.apply(&entry.change);
                self.inner.listener.heard(&lane, &entry.change);
            }
            return;
        }
        let lane = self.lane(entry.event);
        lane.apply(&entry.change);
        self.inner.listener.heard(&lane, &entry.change);
    }

    /// Finds out whether Redis has lost something since this process last saw it, and puts back what it knows.
    async fn catch_up(&self, partition: Partition, known: &mut Known) -> Result<(), Fault> {
        let queue = &self.inner.queue;
        let mut state = queue.partition_state(partition).await?;
        let least = known.highest.max(self.inner.enqueuer.seen_seq(partition));
        if state.epoch.is_empty() || (state.epoch == known.epoch && state.seq < least) {
            let seen = state.epoch.clone();
            state.epoch = queue.begin_epoch(partition, &seen, least).await?;
        }
        if !known.epoch.is_empty() && state.epoch != known.epoch {
            tracing::warn!(
                partition = partition.index(),
                "Redis may have lost jobs; putting back those that this gateway knows"
            );
            let back = super::recover::reenter_issued(self, partition).await?;
            tracing::info!(
                partition = partition.index(),
                jobs = back,
                "{back} lost jobs are back in their places"
            );
            self.inner.enqueuer.forget_seq(partition, 0);
            known.highest = 0;
        }
        if known.epoch != state.epoch {
            known.after = None;
        }
        known.epoch = state.epoch;
        Ok(())
    }

    /// Pauses that Redis has forgotten are copied to it first, so that nobody is told meanwhile that the line moves.
    async fn copy_missing_controls(&self, partition: Partition) -> Result<(), Fault> {
        let queue = &self.inner.queue;
        let state = queue.partition_state(partition).await?;
        if state.controls == state.epoch {
            return Ok(());
        }
        match copy_controls(&self.inner.store, queue, partition).await {
            Ok(_) => Ok(()),
            Err(Fault::Queue(error)) => Err(error.into()),
            // Whoever claims next copies them before anything is decided.
            Err(Fault::Store(error)) => {
                tracing::warn!(
                    partition = partition.index(),
                    error = crate::telemetry::chain(&error),
                    "pauses could not be read; lines may seem to move until they can"
                );
                Ok(())
            }
        }
    }

    /// The lanes of a partition that operators have paused or said something in, whether or not anybody has used them:
    /// Redis does not count these.
    async fn steered_lanes(&self, partition: Partition) -> Vec<EventId> {
        let inner = &self.inner;
        match in_time(STATEMENT, inner.store.controls(inner.queue.name())).await {
            Ok(controls) => {
                let steered = controls.lanes.into_iter().filter(|(event, pause)| {
                    Partition::of(*event) == partition && *pause != Pause::default()
                });
                steered.map(|(event, _)| event).collect()
            }
            // The others are told of all the same.
            Err(error) => {
                tracing::warn!(
                    partition = partition.index(),
                    error = crate::telemetry::chain(&error),
                    "pauses of lanes that nobody has used could not be read; they are not told until they change"
                );
                Vec::new()
            }
        }
    }

    async fn load_lanes(&self, partition: Partition) -> Result<(), Fault> {
        let queue = &self.inner.queue;
        self.copy_missing_controls(partition).await?;
        self.note_whole_pause(partition, queue.whole_pause(partition).await?);
        let mut events = queue.lanes(partition).await?;
        events.extend(self.steered_lanes(partition).await);
        events.extend(self.of_partition(partition).iter().map(|lane| lane.event));
        events.sort_unstable();
        events.dedup();
        for event in events {
            let lane = self.lane(event);
            let mut fresh = lane.board.read().clone();
            fresh.forget_waiting();
            for is_standby in [false, true] {
                let mut after = 0;
                loop {
                    let page = queue.waiting_after(event, after, PAGE, is_standby).await?;
                    let Some((last, _)) = page.last() else { break };
                    after = *last;
                    for (number, job) in page {
                        let seats = job.as_ref().map(|job| job.request.named_seats()).unwrap_or_default();
                        fresh.load(number, seats, is_standby);
                        // Whoever added it may be gone when Redis loses it. An end told meanwhile is put in later.
                        if let Some(job) = &job {
                            lane.note_issued(number, job);
                        }
                    }
                }
            }
            let state = queue.lane_state(event).await?;
            fresh.apply(&Change::Control { pause: state.whole_pause, is_whole: true }, now_s());
            let change = Change::Control { pause: state.own_pause, is_whole: false };
            fresh.apply(&change, now_s());
            *lane.board.write() = fresh;
            self.inner.listener.heard(&lane, &change);
        }
        Ok(())
    }
}

/// What a follower has seen of its partition.
#[derive(Default)]
struct Known {
    epoch: String,
    /// The id of the last entry that was put in; `None` when the lanes must be loaded first.
    after: Option<String>,
    /// Of the last entry that was put in; 0 right after loading.
    seq: u64,
    /// The highest ever seen in this epoch.
    highest: u64,
}
