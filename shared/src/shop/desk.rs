//! The desk: taking a place in a line, asking where one stands, leaving.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::lanes::now_s;
use super::recover::reenter;
use super::{Carts, Catalogue, Event, Fault, HALFWAY, Lane, Lanes, SeatStatus, Status, WaitRange, wait_text};
use crate::domain::{
    BookingRequest, Envelope, EventId, JobRef, JobRefError, JobRefKeys, Outcome, Refusal, RequestError,
    SeatId, UserId, Wanted,
};
use crate::queue::QueueError;
use crate::queue::board::{JobState, LaneBoard, Wait};
use crate::queue::enqueue::{Added, NewJob};
use crate::queue::enqueuer::Enqueuer;
use crate::store::StoreError;

/// Seconds that a reference is good for. Outcomes are kept for twice as long, so a reference never re-enters a job that
/// was decided and forgotten, also where it is for a job of yesterday that is asked for again.
const REFERENCE_S: u64 = 86_400;
/// So often a job gets another reference, when it is asked for again: within this time it is the same one.
const RENEWED_S: u64 = REFERENCE_S / 2;
/// Seconds after which the feed has told of a new job, or never will.
const FEED_DELAY_S: u64 = 2;
/// Unknown jobs looked up in the stores at once; the others are told to wait.
const LOOKUPS: usize = 32;

/// A place in a line.
#[derive(Debug, Clone)]
pub struct Booked {
    /// The job's signed reference.
    pub reference: String,
    /// At which event.
    pub event: EventId,
    /// Its number.
    pub number: u64,
    /// How many are ahead + 1.
    pub place: u64,
    /// How long it will take.
    pub wait: Wait,
    /// The same request was there already.
    pub is_new: bool,
}

/// Why no place was given.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// No such event, or none with this seat.
    #[error("there is no such event or seat")]
    NotFound,
    /// A named seat belongs to another event.
    #[error("seat {0} belongs to another event")]
    SeatOfOtherEvent(SeatId),
    /// A tier, section or area of another event.
    #[error("this event has no such {0}")]
    NoSuch(&'static str),
    /// More places than the event gives one person.
    #[error("one person may have at most {0} places at this event")]
    AboveLimit(u32),
    /// The request cannot be meant.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Not on sale now.
    #[error("this event is not on sale now")]
    SaleClosed,
    /// A named seat is known to be gone.
    #[error("seat {0} is already taken")]
    SeatTaken(SeatId),
    /// The idempotency key belongs to another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyMismatch,
    /// Too many live jobs of this shopper.
    #[error("you have too many requests in this queue already")]
    TooManyJobs,
    /// The line is full.
    #[error("the queue is full right now")]
    QueueFull,
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a reference gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Forged or expired.
    #[error(transparent)]
    Reference(#[from] JobRefError),
    /// Somebody else's.
    #[error("this request belongs to somebody else")]
    NotOwner,
    /// A store is away.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StoreError> for BookError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<StoreError> for StatusError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

/// The desk; clones share it.
#[derive(Clone)]
pub struct Desk {
    catalogue: Catalogue,
    lanes: Lanes,
    enqueuer: Enqueuer,
    carts: Carts,
    references: JobRefKeys,
    lookups: Arc<Semaphore>,
}

impl Desk {
    /// A desk over these.
    pub fn new(
        catalogue: Catalogue,
        lanes: Lanes,
        enqueuer: Enqueuer,
        carts: Carts,
        references: JobRefKeys,
    ) -> Self {
        Self { catalogue, lanes, enqueuer, carts, references, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// Reads an event and its seats anew where they are not fresh, as somebody watches them.
    ///
    /// # Errors
    /// A store is away.
    pub async fn refresh(&self, event: EventId) -> Result<(), Fault> {
        if let Some(event) = self.catalogue.event(event).await? {
            self.lanes.load_seats(&self.lanes.lane(event.record.id), &event.layout).await?;
        }
        Ok(())
    }

    /// Takes a place in the line of the event that a seat belongs to.
    ///
    /// # Errors
    /// Why no place was given.
    pub async fn book_seat(
        &self,
        seat: SeatId,
        owner: UserId,
        key: Option<&str>,
        ip: Option<IpAddr>,
    ) -> Result<Booked, BookError> {
        let event = self.catalogue.event_of_seat(seat).await?.ok_or(BookError::NotFound)?;
        self.book(event, owner, BookingRequest::named(vec![seat], false)?, key, ip).await
    }

    /// Takes a place in an event's line.
    ///
    /// # Errors
    /// Why no place was given.
    pub async fn book(
        &self,
        event: EventId,
        owner: UserId,
        request: BookingRequest,
        key: Option<&str>,
        ip: Option<IpAddr>,
    ) -> Result<Booked, BookError> {
        let event = self.catalogue.event_with(event, request.named_seats()).await?;
        let event = event.ok_or(BookError::NotFound)?;
        let lane = self.lanes.lane(event.record.id);
        let envelope = Envelope { owner, nonce: rand::random(), is_keyed: key.is_some(), ip, request };
        let idempotency = key.map(|key| NewJob::idempotency_of(&envelope, key));
        let job = NewJob { envelope, idempotency };
        if let Err(refusal) = self.check(&lane, &event, &job.envelope.request).await {
            return match Box::pin(self.asked_before(&lane, &event, &job)).await {
                Some(added) => self.booked(&lane, job, added),
                None => Err(refusal),
            };
        }
        self.add(&lane, job).await
    }

    /// Takes a new place, at the end of the line, for a job that failed; asking twice gives the same job.
    ///
    /// # Errors
    /// Why no place was given.
    pub async fn retry(&self, event: EventId, failed: u64, envelope: Envelope) -> Result<Booked, BookError> {
        let event = self.catalogue.event(event).await?.ok_or(BookError::NotFound)?;
        check(&event, &envelope.request)?;
        let idempotency = Some(NewJob::idempotency_of_retry(event.record.id, failed));
        let envelope = Envelope { nonce: rand::random(), is_keyed: true, ..envelope };
        self.add(&self.lanes.lane(event.record.id), NewJob { envelope, idempotency }).await
    }

    /// What became of a request with this key: repeated it is answered as at first, though it would be refused by now, as its
    /// own job may have won the seat that it names. `None` also while Redis cannot say.
    async fn asked_before(&self, lane: &Lane, event: &Event, job: &NewJob) -> Option<Added> {
        if event.now() < event.record.sales_open_at {
            return None;
        }
        let mut added = self.lanes.queue().keyed(lane.event, job).await.ok()??;
        if let Added::Queued { number, place, .. } = &mut added
            && let JobState::Waiting { place: at, .. } | JobState::StandsBy { place: at } =
                lane.board.read().state(*number)
        {
            *place = at;
        }
        Some(added)
    }

    async fn add(&self, lane: &Lane, job: NewJob) -> Result<Booked, BookError> {
        let added = self.enqueuer.add(lane.event, job.clone()).await.map_err(|error| match error {
            QueueError::Full => BookError::QueueFull,
            QueueError::Redis(_)
            | QueueError::Word(_)
            | QueueError::Reply(_)
            | QueueError::Unfit(_)
            | QueueError::Config(_)
            | QueueError::Closed => BookError::Fault(error.into()),
        })?;
        self.booked(lane, job, added)
    }

    /// The place that was given, with its reference.
    fn booked(&self, lane: &Lane, job: NewJob, added: Added) -> Result<Booked, BookError> {
        let Added::Queued { number, nonce, place, is_new } = added else {
            return Err(match added {
                Added::Mismatch => BookError::IdempotencyMismatch,
                Added::TooMany => BookError::TooManyJobs,
                Added::Full | Added::Queued { .. } => BookError::QueueFull,
            });
        };
        let envelope = Envelope { nonce, ..job.envelope };
        note_issued(lane, number, &envelope);
        let expires_s = expires_s(number, now_s());
        let reference = self.references.sign(&JobRef { event: lane.event, number, expires_s, envelope });
        let wait = lane.board.read().wait(place);
        Ok(Booked { reference, event: lane.event, number, place, wait, is_new })
    }

    /// Where a job stands; what was won is told to its owner only.
    ///
    /// # Errors
    /// The reference is no good, or a store is away.
    pub async fn status(&self, reference: &str, viewer: Option<UserId>) -> Result<Status, StatusError> {
        let job = self.read(reference)?;
        self.status_of(&job, viewer).await
    }

    /// Where a job stands that has not ended, from memory and without waiting; `None` when that is not known, or the reference
    /// is no good: [`Self::status`] says more.
    pub fn status_at_once(&self, reference: &str, viewer: Option<UserId>) -> Option<Status> {
        let job = self.read(reference).ok()?;
        let lane = self.lanes.lane(job.event);
        let board = lane.board.read();
        match board.state(job.number) {
            JobState::Ended(..) | JobState::Unknown => None,
            state @ (JobState::Waiting { .. } | JobState::Processing | JobState::StandsBy { .. }) => {
                Some(self.queued(&board, &job, &state, viewer == Some(job.envelope.owner)))
            }
        }
    }

    /// What a reference says.
    ///
    /// # Errors
    /// It is forged or expired.
    pub fn read(&self, reference: &str) -> Result<JobRef, JobRefError> {
        self.references.verify(reference, now_s())
    }

    /// Where a job stands.
    ///
    /// # Errors
    /// A store is away.
    pub async fn status_of(&self, job: &JobRef, viewer: Option<UserId>) -> Result<Status, StatusError> {
        let lane = self.lanes.lane(job.event);
        let mut state = lane.board.read().state(job.number);
        if state == JobState::Unknown && (!lane.is_issued(job.number) || is_overdue(job)) {
            state = Box::pin(self.look_up(&lane, job)).await?;
        }
        self.view(&lane, job, state, viewer).await
    }

    /// Leaves the line. What a job wins meanwhile is released; a job that ended before stays as it ended.
    ///
    /// # Errors
    /// The reference is no good or somebody else's, or a store is away.
    pub async fn leave(&self, reference: &str, viewer: UserId) -> Result<Status, StatusError> {
        let job = self.read(reference)?;
        if job.envelope.owner != viewer {
            return Err(StatusError::NotOwner);
        }
        let lane = self.lanes.lane(job.event);
        let mut state = lane.board.read().state(job.number);
        if state == JobState::Unknown {
            state = self.look_up(&lane, &job).await?;
        }
        if let JobState::Ended(..) = state {
            return self.view(&lane, &job, state, Some(viewer)).await;
        }
        let left = Outcome::Failed(Refusal::Left);
        let store = self.lanes.store();
        let mut standing = store.end_job(job.event, job.number, &job.envelope, Refusal::Left).await?;
        let mut freed = Vec::new();
        if standing != left {
            // It was decided first. What it won while it was known to wait is given back, and then it reads as left, so that a
            // second try goes on where a first one failed; else it stays.
            let Outcome::Completed(won) = &standing else {
                return Ok(Status::ended(job.event, &standing, None, true));
            };
            if state == JobState::Unknown {
                return Ok(self.ended(job.event, &standing, true).await);
            }
            freed = self.carts.give_back(job.event, viewer, won).await?;
            store.note_left(job.event, job.number, job.envelope.nonce, won).await?;
            standing = store.end_job(job.event, job.number, &job.envelope, Refusal::Left).await?;
            if standing != left {
                // It is being paid for, or bought.
                return Ok(self.ended(job.event, &standing, true).await);
            }
        }
        let ended = [(job.number, job.envelope.clone(), left.clone())];
        self.lanes.queue().leave(job.event, &ended).await.map_err(Fault::from)?;
        // Whenever the batch is told that had decided it: after this its places are free.
        self.carts.announce(&freed).await;
        lane.forget_issued(job.number);
        lane.board.write().note_outcome(job.number, viewer, left.clone(), now_s());
        Ok(Status::ended(job.event, &left, None, true))
    }

    /// What is known to be in vain, before it takes a place.
    async fn check(&self, lane: &Lane, event: &Event, request: &BookingRequest) -> Result<(), BookError> {
        check(event, request)?;
        // Who takes others, or waits for them to come back, is not refused.
        let BookingRequest { wanted: Wanted::Named { seats, or_best: false }, standby: false } = request
        else {
            return Ok(());
        };
        self.lanes.load_seats(lane, &event.layout).await?;
        let live = lane.seats.read();
        let board = lane.board.read();
        let Some(live) = live.as_ref() else { return Ok(()) };
        let taken = seats.iter().find(|seat| {
            event.layout.index_of(**seat).is_some_and(|index| {
                matches!(live.status(index, &board), SeatStatus::Reserved | SeatStatus::Sold)
            })
        });
        taken.map_or(Ok(()), |seat| Err(BookError::SeatTaken(*seat)))
    }

    /// Asks the stores for a job that the feed has not told of, and puts it back when nobody knows it.
    async fn look_up(&self, lane: &Lane, job: &JobRef) -> Result<JobState, StatusError> {
        if !self.lanes.is_following_lane(job.event) {
            return Ok(JobState::Unknown);
        }
        let Ok(_permit) = self.lookups.try_acquire() else { return Ok(JobState::Unknown) };
        let back = reenter(&self.lanes, lane, vec![(job.number, job.envelope.clone())]).await?;
        if back > 0 {
            note_issued(lane, job.number, &job.envelope);
            tracing::info!(
                event.id = job.event.0,
                job.number = job.number,
                "job that Redis had forgotten is back in its place"
            );
        }
        Ok(lane.board.read().state(job.number))
    }

    async fn view(
        &self,
        lane: &Lane,
        job: &JobRef,
        state: JobState,
        viewer: Option<UserId>,
    ) -> Result<Status, StatusError> {
        let is_owner = viewer == Some(job.envelope.owner);
        if let JobState::Ended(_, outcome) = &state {
            let event = self.catalogue.event_with(job.event, won_seats(outcome)).await?;
            let layout = event.as_ref().map(|event| &*event.layout);
            return Ok(Status::ended(job.event, outcome, layout, is_owner));
        }
        Ok(self.queued(&lane.board.read(), job, &state, is_owner))
    }

    /// The status of a job that has not ended.
    fn queued(&self, board: &LaneBoard, job: &JobRef, state: &JobState, is_owner: bool) -> Status {
        let (place, wait) = match state {
            JobState::Processing => return Status::Processing { event_id: job.event, progress: HALFWAY },
            JobState::Waiting { place, wait, .. } => (Some(*place), Some(*wait)),
            JobState::StandsBy { place } => (Some(*place), None),
            JobState::Ended(..) | JobState::Unknown => (None, None),
        };
        let pause = board.pause();
        Status::Queued {
            user_id: is_owner.then_some(job.envelope.owner),
            event_id: job.event,
            place,
            queue_position: place,
            waiting: board.waiting(),
            estimated_wait_time: wait.map(wait_text),
            wait_range: wait.map(WaitRange::from),
            paused: pause.paused,
            message: (!pause.message.is_empty()).then(|| pause.message.clone()),
            recovering: place.is_none() && !self.lanes.is_following_lane(job.event),
            standby: matches!(state, JobState::StandsBy { .. }),
        }
    }

    /// The lanes behind the desk.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The events behind the desk.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// How a job ended, as its owner is told on a socket; `None` while nothing is known of the event.
    pub async fn ended(&self, event: EventId, outcome: &Outcome, is_owner: bool) -> Status {
        let known = self.catalogue.event_with(event, won_seats(outcome)).await.ok().flatten();
        Status::ended(event, outcome, known.as_ref().map(|event| &*event.layout), is_owner)
    }
}

/// Until when a reference holds that is given out now, in seconds since 1970: a day from when the job came, and longer for
/// one that waits longer.
fn expires_s(number: u64, now_s: u64) -> u64 {
    let came_s = number / 1_000_000;
    let renewals = now_s.saturating_sub(came_s) / RENEWED_S;
    came_s + renewals * RENEWED_S + REFERENCE_S
}

/// The feed should have told of this job by now.
fn is_overdue(job: &JobRef) -> bool {
    job.number / 1_000_000 + FEED_DELAY_S < now_s()
}

/// Remembers a job until it ends; the end may have been told before this is called.
fn note_issued(lane: &Lane, number: u64, envelope: &Envelope) {
    lane.note_issued(number, envelope);
    if matches!(lane.board.read().state(number), JobState::Ended(..)) {
        lane.forget_issued(number);
    }
}

fn check(event: &Event, request: &BookingRequest) -> Result<(), BookError> {
    if !event.is_on_sale() {
        return Err(BookError::SaleClosed);
    }
    if request.quantity() > event.record.seat_limit as usize {
        return Err(BookError::AboveLimit(event.record.seat_limit));
    }
    let layout = &event.layout;
    match &request.wanted {
        Wanted::Named { seats, .. } => {
            let foreign = seats.iter().find(|seat| layout.index_of(**seat).is_none());
            foreign.map_or(Ok(()), |seat| Err(BookError::SeatOfOtherEvent(*seat)))
        }
        Wanted::Best { tier, section, .. } => {
            if tier.is_some_and(|tier| layout.tier(tier).is_none()) {
                return Err(BookError::NoSuch("price tier"));
            }
            let is_unknown = |id| !layout.sections.iter().any(|section| section.id == id);
            if section.is_some_and(is_unknown) {
                return Err(BookError::NoSuch("section"));
            }
            Ok(())
        }
        Wanted::Area { area, .. } => layout.area_index(*area).map(|_| ()).ok_or(BookError::NoSuch("area")),
    }
}

/// The seats that an outcome tells of.
fn won_seats(outcome: &Outcome) -> &[SeatId] {
    match outcome {
        Outcome::Completed(won) => &won.seats,
        Outcome::Failed(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_the_same_for_half_a_day_and_never_given_out_without_half_a_day_left() {
        let (came_s, number) = (1_790_000_000, 1_790_000_000_000_001);
        assert_eq!(expires_s(number, came_s), came_s + REFERENCE_S);
        assert_eq!(expires_s(number, came_s + RENEWED_S - 1), came_s + REFERENCE_S);
        for hours in 0..200 {
            let now_s = came_s + hours * 3_600;
            let left = expires_s(number, now_s) - now_s;
            assert!((RENEWED_S..=REFERENCE_S).contains(&left), "{left} s are left after {hours} hours");
        }
        assert_eq!(expires_s(number, came_s - 5), came_s + REFERENCE_S, "clocks may differ");
    }
}
