//! What a batch would do, decided in the order of its numbers on what is believed.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::domain::{
    BookingId, Envelope, Hold, Layout, Outcome, Place, Refusal, Reservation, SeatId, SeatMap, UserId, choose,
};
use crate::queue::claim::ClaimedJob;
use crate::shop::live_seats::place_of;
use crate::store::{ClaimedPlace, FreedPlaces, JobWrite, LiveClaims, Prepared, Usage};

/// What one worker believes of an event, between batches.
pub(super) struct Belief {
    pub(super) layout: std::sync::Arc<Layout>,
    pub(super) map: SeatMap,
    /// From where to look for what came free.
    pub(super) xmin: String,
    /// When PostgreSQL was last asked, on this process's clock: how long hints may have been missed.
    pub(super) looked: Instant,
    /// Rows of freed places that were put in already.
    pub(super) seen: HashSet<i64>,
    /// Places believed free because their reservation ran out: it must be taken over.
    pub(super) expired: HashSet<Place>,
}

/// The decisions of a batch, not yet written.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) writes: Vec<JobWrite>,
    /// Outcomes of an earlier delivery.
    pub(super) known: Vec<(u64, Outcome)>,
    pub(super) refused_seats: Vec<SeatId>,
    pub(super) is_short: bool,
    pub(super) limited: Vec<UserId>,
    pub(super) taken_over: Vec<ClaimedPlace>,
    /// What was known to have run out.
    pub(super) known_expired: HashSet<ClaimedPlace>,
    /// What each write reserves, for locks.
    pub(super) places: Vec<Vec<ClaimedPlace>>,
    /// What those who win something have afterwards.
    pub(super) usage: HashMap<UserId, Usage>,
    /// What this plan took.
    mine: HashSet<Place>,
}

impl Belief {
    pub(super) fn new(layout: std::sync::Arc<Layout>, claims: LiveClaims) -> Self {
        let mut map = SeatMap::new(&layout);
        for (place, hold) in &claims.held {
            if let Some(place) = place_of(&layout, *place) {
                map.set(&layout, place, *hold);
            }
        }
        let expired = claims.run_out.iter().filter_map(|place| place_of(&layout, *place)).collect();
        let FreedPlaces { xmin, rows: seen, .. } = claims.freed;
        Self { layout, map, xmin, looked: Instant::now(), seen, expired }
    }

    /// Reads what came free anew from there on.
    pub(super) fn look_again_from(&mut self, freed: &FreedPlaces) {
        self.xmin.clone_from(&freed.xmin);
        self.seen.clone_from(&freed.rows);
    }

    /// Believes that places are free, but for those that a plan takes which is still being written.
    pub(super) fn note_freed(&mut self, places: &[ClaimedPlace], unwritten: Option<&Plan>) {
        for place in places.iter().filter_map(|place| place_of(&self.layout, *place)) {
            if unwritten.is_none_or(|plan| !plan.mine.contains(&place)) {
                self.map.set(&self.layout, place, Hold::Free);
            }
            self.expired.remove(&place);
        }
    }

    /// Believes that places are sold, so that nobody stands by for them. Free is what they are believed to be all the same
    /// when they have come free since.
    pub(super) fn note_sold(&mut self, places: &[ClaimedPlace]) {
        for place in places.iter().filter_map(|place| place_of(&self.layout, *place)) {
            self.map.set(&self.layout, place, Hold::Sold);
            self.expired.remove(&place);
        }
    }

    /// Believes that places are free once a reservation that ran out is taken over.
    pub(super) fn note_expired(&mut self, places: &[ClaimedPlace]) {
        for place in places.iter().filter_map(|place| place_of(&self.layout, *place)) {
            self.map.set(&self.layout, place, Hold::Free);
            self.expired.insert(place);
        }
    }

    /// Believes that places are taken.
    pub(super) fn note_taken(&mut self, places: &[ClaimedPlace]) {
        for place in places.iter().filter_map(|place| place_of(&self.layout, *place)) {
            self.map.set(&self.layout, place, Hold::Reserved);
            self.expired.remove(&place);
        }
    }

    /// Believes what it believed before a plan that was not written.
    pub(super) fn undo(&mut self, plan: &Plan) {
        for place in &plan.mine {
            self.map.set(&self.layout, *place, Hold::Free);
        }
    }

    /// A plan was written: what it took over is no longer expired.
    pub(super) fn done(&mut self, plan: &Plan) {
        for place in &plan.mine {
            self.expired.remove(place);
        }
    }

    /// Decides jobs in order and marks what they take. One that has had its attempts gets nothing.
    pub(super) fn plan(&mut self, jobs: &[ClaimedJob], prepared: &Prepared, max_attempts: u32) -> Plan {
        let known_expired =
            self.expired.iter().filter_map(|place| claimed_place(&self.layout, *place)).collect();
        let mut plan = Plan { known_expired, ..Plan::default() };
        let mut usage: HashMap<UserId, Usage> = prepared.usage.clone();
        for job in jobs {
            if let Some((_, outcome)) = prepared.outcomes.get(&job.number) {
                plan.known.push((job.number, outcome.clone()));
                continue;
            }
            let Some(envelope) = &job.envelope else {
                let outcome = Some(Outcome::Failed(Refusal::Internal));
                plan.push(
                    JobWrite {
                        number: job.number,
                        nonce: 0,
                        user: UserId(0),
                        ip: None,
                        may_stand_by: false,
                        outcome,
                    },
                    Vec::new(),
                );
                continue;
            };
            let user = envelope.owner;
            let own = usage.entry(user).or_default();
            let is_over = job.attempts >= max_attempts;
            let decided = if is_over { Err(Refusal::Internal) } else { self.decide(job, prepared, *own) };
            let places = match decided {
                Ok(places) => places,
                Err(refusal) => {
                    let named = self.believed_taken(&plan, envelope.request.named_seats());
                    let stands_by = plan.note_refusal(refusal, user, named)
                        && envelope.request.standby
                        && !self.map.is_all_sold(&self.layout);
                    let outcome = (!stands_by).then_some(Outcome::Failed(refusal));
                    plan.push(write(job.number, envelope, outcome), Vec::new());
                    continue;
                }
            };
            let booking = *own.open_booking.get_or_insert_with(BookingId::new);
            own.places += u32::try_from(places.len()).unwrap_or(u32::MAX);
            plan.usage.insert(user, *own);
            let (won, ids) = self.take(&mut plan, booking, &places, prepared.expires_at_ms);
            plan.push(write(job.number, envelope, Some(Outcome::Completed(won))), ids);
        }
        plan
    }

    /// Those of these seats that were taken before this plan; what the plan itself took is no question to
    /// PostgreSQL.
    fn believed_taken(&self, plan: &Plan, seats: &[SeatId]) -> Vec<SeatId> {
        let is_taken = |seat: &SeatId| {
            self.layout
                .index_of(*seat)
                .map(Place::Seat)
                .is_some_and(|place| self.map.get(place) != Hold::Free && !plan.mine.contains(&place))
        };
        seats.iter().copied().filter(is_taken).collect()
    }

    fn decide(&mut self, job: &ClaimedJob, prepared: &Prepared, own: Usage) -> Result<Vec<Place>, Refusal> {
        let Some(envelope) = &job.envelope else { return Err(Refusal::Internal) };
        if prepared.is_closed {
            return Err(Refusal::SaleClosed);
        }
        if prepared.one_booking_each && (own.places > 0 || own.has_closed_booking) {
            return Err(Refusal::AlreadyBooked);
        }
        let quantity = u32::try_from(envelope.request.quantity()).unwrap_or(u32::MAX);
        if own.places.saturating_add(quantity) > prepared.seat_limit {
            return Err(Refusal::LimitReached);
        }
        Ok(choose(&self.layout, &mut self.map, &envelope.request.wanted)?.places)
    }

    fn take(
        &mut self,
        plan: &mut Plan,
        booking: BookingId,
        places: &[Place],
        expires_at_ms: i64,
    ) -> (Reservation, Vec<ClaimedPlace>) {
        let mut won = Reservation { booking, seats: Vec::new(), slots: Vec::new(), expires_at_ms };
        let mut ids = Vec::with_capacity(places.len());
        for place in places {
            let Some(id) = claimed_place(&self.layout, *place) else { continue };
            match id {
                ClaimedPlace::Seat(seat) => won.seats.push(seat),
                ClaimedPlace::Slot(area, slot) => won.slots.push((area, slot)),
            }
            ids.push(id);
            if self.expired.contains(place) {
                plan.taken_over.push(id);
            }
            self.map.set(&self.layout, *place, Hold::Reserved);
            plan.mine.insert(*place);
        }
        (won, ids)
    }
}

/// A place by its id.
fn claimed_place(layout: &Layout, place: Place) -> Option<ClaimedPlace> {
    match place {
        Place::Seat(index) => layout.seats.get(index as usize).map(|seat| ClaimedPlace::Seat(seat.id)),
        Place::Slot(area, slot) => {
            layout.areas.get(area as usize).map(|area| ClaimedPlace::Slot(area.id, slot))
        }
    }
}

/// A job as it is written.
fn write(number: u64, envelope: &Envelope, outcome: Option<Outcome>) -> JobWrite {
    JobWrite {
        number,
        nonce: envelope.nonce,
        user: envelope.owner,
        ip: envelope.ip,
        may_stand_by: envelope.request.standby,
        outcome,
    }
}

impl Plan {
    fn push(&mut self, write: JobWrite, places: Vec<ClaimedPlace>) {
        self.writes.push(write);
        self.places.push(places);
    }

    /// Notes what must hold under the lock for this refusal; true when it is for want of places.
    fn note_refusal(&mut self, refusal: Refusal, user: UserId, named: Vec<SeatId>) -> bool {
        match refusal {
            Refusal::SeatTaken => {
                self.refused_seats.extend(named);
                true
            }
            Refusal::SoldOut | Refusal::NotEnoughAdjacent => {
                self.is_short = true;
                true
            }
            Refusal::LimitReached | Refusal::AlreadyBooked => {
                self.limited.push(user);
                false
            }
            Refusal::SaleClosed | Refusal::Left | Refusal::Removed | Refusal::Internal => false,
        }
    }
}
