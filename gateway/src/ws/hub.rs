//! The hub: hears every change of the lanes once, and passes on to each socket what concerns it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use parking_lot::{Mutex, RwLock};
use shared::domain::{EventId, Outcome, UserId};
use shared::queue::board::LaneBoard;
use shared::queue::control::Pause;
use shared::queue::feed::{Change, Done, Told};
use shared::shop::{Desk, Lane, Listener};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::message::Message;
use super::pace::{Claims, Pace, PaceWindow};
use crate::per_address::{Held, PerAddress};

/// Messages that may wait for a slow reader.
const WAITING: usize = 64;
/// How often watchers hear of changed seats.
const TELL: Duration = Duration::from_millis(250);
/// How often watched events are read anew where they have changed.
const LOOK: Duration = Duration::from_secs(5);
/// How often lanes are forgotten that nobody listens to.
const TIDY: Duration = Duration::from_mins(1);
/// Seats told one by one; when more have changed, watchers are told to fetch all.
const CHANGES: usize = 2_000;

/// What a socket is told.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// A job is being decided.
    Processing(EventId, u64),
    /// A job has ended.
    Ended(EventId, u64, UserId, Outcome),
    /// Ready to send.
    Text(Utf8Bytes),
}

/// A socket, as the hub knows it.
#[derive(Clone)]
pub(super) struct Listening {
    id: u64,
    notes: mpsc::Sender<Note>,
    /// Cancelled when the reader is too slow.
    pub(super) too_slow: CancellationToken,
}

impl Listening {
    fn tell(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.too_slow.cancel();
        }
    }
}

/// All sockets of this process; clones share them.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    next_id: AtomicU64,
    open: PerAddress,
    lanes: Mutex<HashMap<EventId, Audience>>,
    users: Mutex<HashMap<UserId, Vec<Listening>>>,
    pace: Mutex<PaceWindow>,
}

/// Who listens to a lane.
#[derive(Default)]
struct Audience {
    jobs: BTreeMap<u64, Vec<Listening>>,
    watchers: Vec<Listening>,
    pause: Pause,
    claims: Claims,
}

impl Audience {
    /// Nobody yet, for a lane that stands like this: whoever comes is told of the pause by whatever they ask for, and
    /// hears of its end.
    fn of(board: &RwLock<LaneBoard>) -> Self {
        Self { pause: board.read().pause().clone(), ..Self::default() }
    }

    /// Whether nothing is lost with it: a batch takes less time than this.
    fn is_over(&self) -> bool {
        self.jobs.is_empty() && self.watchers.is_empty() && self.claims.are_over(TIDY)
    }
}

impl Hub {
    /// A hub without sockets.
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                next_id: AtomicU64::new(1),
                open: PerAddress::default(),
                lanes: Mutex::default(),
                users: Mutex::default(),
                pace: Mutex::default(),
            }),
        }
    }

    /// Starts to tell watchers of changed seats, until `shutdown`.
    pub(crate) fn start(&self, desk: Desk, shutdown: &CancellationToken) {
        let (hub, shutdown) = (self.clone(), shutdown.clone());
        tokio::spawn(async move {
            let telling = async {
                let (mut looked, mut tidied) = (Instant::now(), Instant::now());
                loop {
                    tokio::time::sleep(TELL).await;
                    if looked.elapsed() > LOOK {
                        looked = Instant::now();
                        let (hub, desk) = (hub.clone(), desk.clone());
                        tokio::spawn(async move { hub.look_again(&desk).await });
                    }
                    hub.tell_watchers(&desk);
                    if tidied.elapsed() > TIDY {
                        tidied = Instant::now();
                        hub.forget_over();
                    }
                }
            };
            shutdown.run_until_cancelled(telling).await;
        });
    }

    fn forget_over(&self) {
        self.inner.lanes.lock().retain(|_, audience| !audience.is_over());
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        self.inner.open.total()
    }

    /// How fast the queue goes.
    pub fn pace(&self) -> Pace {
        self.inner.pace.lock().figures()
    }

    /// Lets one more socket of an address in; `None` when there are too many.
    pub(super) fn admit(&self, ip: IpAddr, most: u32) -> Option<Held> {
        self.inner.open.take(ip, most)
    }

    /// A new listener and where its notes arrive.
    pub(super) fn listen(&self) -> (Listening, mpsc::Receiver<Note>) {
        let (notes, received) = mpsc::channel(WAITING);
        let id = self.inner.next_id.fetch_add(1, Ordering::Relaxed);
        (Listening { id, notes, too_slow: CancellationToken::new() }, received)
    }

    pub(super) fn subscribe(&self, listening: &Listening, board: &RwLock<LaneBoard>, number: u64) {
        let event = board.read().event();
        let mut lanes = self.inner.lanes.lock();
        let audience = lanes.entry(event).or_insert_with(|| Audience::of(board));
        audience.jobs.entry(number).or_default().push(listening.clone());
    }

    pub(super) fn unsubscribe(&self, listening: &Listening, event: EventId, number: u64) {
        let mut lanes = self.inner.lanes.lock();
        let Some(audience) = lanes.get_mut(&event) else { return };
        if let Some(sockets) = audience.jobs.get_mut(&number) {
            sockets.retain(|socket| socket.id != listening.id);
            if sockets.is_empty() {
                audience.jobs.remove(&number);
            }
        }
    }

    pub(super) fn watch(&self, listening: &Listening, board: &RwLock<LaneBoard>) {
        let event = board.read().event();
        let mut lanes = self.inner.lanes.lock();
        lanes.entry(event).or_insert_with(|| Audience::of(board)).watchers.push(listening.clone());
    }

    pub(super) fn unwatch(&self, listening: &Listening, event: EventId) {
        if let Some(audience) = self.inner.lanes.lock().get_mut(&event) {
            audience.watchers.retain(|socket| socket.id != listening.id);
        }
    }

    pub(super) fn identify(&self, listening: &Listening, user: UserId) {
        self.inner.users.lock().entry(user).or_default().push(listening.clone());
    }

    pub(super) fn forget_user(&self, listening: &Listening, user: UserId) {
        let mut users = self.inner.users.lock();
        if let Some(sockets) = users.get_mut(&user) {
            sockets.retain(|socket| socket.id != listening.id);
            if sockets.is_empty() {
                users.remove(&user);
            }
        }
    }

    fn tell_user(&self, event: EventId, told: &Told) {
        let users = self.inner.users.lock();
        let Some(sockets) = users.get(&told.user) else { return };
        let (booking_id, seat_ids, slots) = (told.booking, told.seats.clone(), told.slots.clone());
        let message = if told.is_expiry {
            Message::Expired { booking_id, event_id: event, seat_ids, slots }
        } else {
            Message::Released { booking_id, event_id: event, seat_ids, slots }
        };
        let text = message.text();
        for socket in sockets {
            socket.tell(Note::Text(text.clone()));
        }
    }

    fn tell_done(&self, event: EventId, done: &Done) {
        for told in &done.told {
            self.tell_user(event, told);
        }
        let mut lanes = self.inner.lanes.lock();
        let Some(audience) = lanes.get_mut(&event) else { return };
        // A batch may be told in parts.
        let last = done.decided().chain(done.standby.iter().copied()).max();
        if let Some(took) = last.and_then(|last| audience.claims.took(last)) {
            self.inner.pace.lock().note(took, done.decided().count() as u64);
        }
        if audience.jobs.is_empty() {
            return;
        }
        for (number, owner, outcome) in done.outcomes() {
            for socket in audience.jobs.remove(&number).unwrap_or_default() {
                socket.tell(Note::Ended(event, number, owner, outcome.clone()));
            }
        }
    }

    /// Those are told that are being decided, and not those with as low a number that stand by.
    fn tell_claimed(&self, lane: &RwLock<LaneBoard>, upto: u64) {
        let event = lane.read().event();
        let mut lanes = self.inner.lanes.lock();
        let audience = lanes.entry(event).or_insert_with(|| Audience::of(lane));
        audience.claims.note(upto);
        let board = lane.read();
        let Some(first) = board.first_waiting().filter(|first| *first <= upto) else { return };
        let claimed = audience.jobs.range(first..=upto).filter(|(number, _)| board.is_processing(**number));
        for (number, sockets) in claimed {
            for socket in sockets {
                socket.tell(Note::Processing(event, *number));
            }
        }
    }

    /// Everybody who waits or watches hears of a pause, its end and a message without one, each socket once.
    fn tell_control(&self, event: EventId, pause: &Pause) {
        let mut lanes = self.inner.lanes.lock();
        let audience = lanes.entry(event).or_default();
        if audience.pause == *pause {
            return;
        }
        let was_paused = audience.pause.paused;
        audience.pause = pause.clone();
        let message = match (was_paused, pause.paused) {
            (_, true) => Message::Paused { event_id: event, message: pause.message.clone() },
            (true, false) => Message::Resumed { event_id: event, message: pause.message.clone() },
            (false, false) => Message::Told { event_id: event, message: pause.message.clone() },
        };
        let text = message.text();
        let mut told = HashSet::new();
        for socket in audience.watchers.iter().chain(audience.jobs.values().flatten()) {
            if told.insert(socket.id) {
                socket.tell(Note::Text(text.clone()));
            }
        }
    }

    fn watched(&self) -> Vec<EventId> {
        let lanes = self.inner.lanes.lock();
        lanes.iter().filter(|(_, audience)| !audience.watchers.is_empty()).map(|(event, _)| *event).collect()
    }

    /// Reads watched events anew where places were added or removed, as nobody else may ask for them.
    async fn look_again(&self, desk: &Desk) {
        for event in self.watched() {
            if let Err(error) = desk.refresh(event).await {
                tracing::debug!(
                    event.id = event.0,
                    error = shared::telemetry::chain(&error),
                    "a watched event could not be read anew"
                );
            }
        }
    }

    fn tell_watchers(&self, desk: &Desk) {
        for event in self.watched() {
            let Some(text) = changed_seats(&desk.lanes().lane(event)) else { continue };
            if let Some(audience) = self.inner.lanes.lock().get(&event) {
                for socket in &audience.watchers {
                    socket.tell(Note::Text(text.clone()));
                }
            }
        }
    }
}

/// What changed since watchers were last told; `None` when nothing did.
fn changed_seats(lane: &Lane) -> Option<Utf8Bytes> {
    let mut seats = lane.seats.write();
    let live = seats.as_mut()?;
    let version = live.version();
    if !live.note_told(version) {
        return None;
    }
    let changed = live.take_changed();
    let board = lane.board.read();
    let reload = live.take_relaid() || changed.len() > CHANGES;
    let changes = if reload {
        Vec::new()
    } else {
        changed.into_iter().map(|index| (index, live.status(index, &board).bits())).collect()
    };
    let areas = (0u32..).zip(&live.layout.areas).map(|(index, area)| (area.id, live.area_free(index)));
    let message =
        Message::Availability { event_id: lane.event, version, changes, areas: areas.collect(), reload };
    Some(message.text())
}

impl Listener for Hub {
    fn heard(&self, lane: &Lane, change: &Change) {
        match change {
            Change::Done(done) => self.tell_done(lane.event, done),
            Change::Claimed(upto) => self.tell_claimed(&lane.board, *upto),
            Change::Seats(changed) => {
                for told in &changed.told {
                    self.tell_user(lane.event, told);
                }
            }
            Change::Control { .. } => {
                let pause = lane.board.read().pause().clone();
                self.tell_control(lane.event, &pause);
            }
            // Sockets look at those whom they follow, and tell what became of them.
            Change::GivenBack => {
                if let Some(audience) = self.inner.lanes.lock().get_mut(&lane.event) {
                    audience.claims.given_back();
                }
            }
            Change::Added { .. } | Change::Recalled(_) | Change::Reentered(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::Refusal;

    use super::*;

    #[test]
    fn a_reader_that_takes_nothing_in_is_dropped_and_not_buffered_without_end() {
        let hub = Hub::new();
        let (slow, mut unread) = hub.listen();
        let (quick, mut read) = hub.listen();
        let event = EventId(1);
        let board = RwLock::new(LaneBoard::new(event));
        hub.watch(&slow, &board);
        hub.watch(&quick, &board);
        for said in 0..WAITING * 2 {
            let pause = Pause { paused: true, message: said.to_string() };
            hub.tell_control(event, &pause);
            assert!(read.try_recv().is_ok(), "whoever reads hears of every one");
        }
        assert!(slow.too_slow.is_cancelled() && !quick.too_slow.is_cancelled());
        let waiting = std::iter::from_fn(|| unread.try_recv().ok()).count();
        assert_eq!(waiting, WAITING);
    }

    #[test]
    fn every_part_of_a_batch_counts_and_whoever_leaves_does_not() {
        let hub = Hub::new();
        let board = RwLock::new(LaneBoard::new(EventId(1)));
        let refused = |numbers: std::ops::RangeInclusive<u64>, refusal: Refusal| {
            let mut done = Done::default();
            for number in numbers {
                done.push(number, UserId(1), &Outcome::Failed(refusal));
            }
            done
        };
        let counted = || hub.inner.pace.lock().figures().jobs_per_second;
        hub.tell_done(EventId(1), &refused(1..=5, Refusal::SoldOut));
        assert!(counted() < 0.5, "when it was claimed is not known");
        hub.tell_claimed(&board, 200);
        hub.tell_done(EventId(1), &refused(101..=101, Refusal::Left));
        hub.tell_claimed(&board, 300);
        for part in [1..=100, 102..=200, 201..=300] {
            hub.tell_done(EventId(1), &refused(part, Refusal::SoldOut));
        }
        assert!((counted() - 299.0).abs() < 0.5, "within the first second, {}", counted());
    }

    #[test]
    fn lanes_that_nobody_listens_to_are_forgotten() {
        let hub = Hub::new();
        let (socket, _notes) = hub.listen();
        let [left, watched, followed, paused] = [1, 2, 3, 4].map(EventId);
        let board = |event| RwLock::new(LaneBoard::new(event));
        for event in [left, watched] {
            hub.watch(&socket, &board(event));
        }
        hub.unwatch(&socket, left);
        hub.subscribe(&socket, &board(followed), 7);
        hub.tell_control(paused, &Pause { paused: true, message: String::new() });
        hub.forget_over();
        let mut kept: Vec<EventId> = hub.inner.lanes.lock().keys().copied().collect();
        kept.sort_unstable();
        assert_eq!(kept, [watched, followed]);
    }

    #[test]
    fn whoever_stands_by_is_not_told_that_the_others_are_being_decided() {
        let hub = Hub::new();
        let board = RwLock::new(LaneBoard::new(EventId(1)));
        board.write().load(1, &[], true);
        board.write().load(2, &[], false);
        let (aside, mut aside_notes) = hub.listen();
        let (next, mut next_notes) = hub.listen();
        hub.subscribe(&aside, &board, 1);
        hub.subscribe(&next, &board, 2);
        board.write().apply(&Change::Claimed(2), 0);
        hub.tell_claimed(&board, 2);
        assert!(matches!(next_notes.try_recv(), Ok(Note::Processing(EventId(1), 2))));
        assert!(aside_notes.try_recv().is_err());
    }

    #[test]
    fn the_end_of_a_pause_is_told_though_nobody_listened_when_it_began() {
        let hub = Hub::new();
        let board = RwLock::new(LaneBoard::new(EventId(1)));
        let pause = Pause { paused: true, message: String::new() };
        board.write().apply(&Change::Control { pause, is_whole: true }, 0);
        let (socket, mut notes) = hub.listen();
        hub.watch(&socket, &board);
        hub.tell_control(EventId(1), &Pause::default());
        let told = format!("{:?}", notes.try_recv());
        assert!(told.contains("resumed"), "{told}");
    }
}
