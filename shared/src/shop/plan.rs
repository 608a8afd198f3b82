//! What a batch would do, decided in the order of its numbers on what is believed.

use std::collections::{HashMap, HashSet};

use super::live_seats::place_of;
use crate::domain::{
    BookingId, Hold, Layout, Outcome, Place, Refusal, Reservation, SeatId, SeatMap, UserId, choose,
};
use crate::queue::claim::ClaimedJob;
use crate::store::{ClaimedPlace, JobWrite, Prepared, Usage};

/// What one worker believes of an event, between batches.
pub(super) struct Belief {
    pub(super) layout: std::sync::Arc<Layout>,
    pub(super) map: SeatMap,
    /// From where to look for what came free.
    pub(super) xmin: String,
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
    /// What each write reserves, for locks.
    pub(super) places: Vec<Vec<ClaimedPlace>>,
    undo: Vec<Place>,
}

impl Belief {
    pub(super) fn new(layout: std::sync::Arc<Layout>, claims: &[(ClaimedPlace, Hold)], xmin: String) -> Self {
        let mut map = SeatMap::new(&layout);
        for (place, hold) in claims {
            if let Some(place) = place_of(&layout, *place) {
                map.set(&layout, place, *hold);
            }
        }
        Self { layout, map, xmin, seen: HashSet::new(), expired: HashSet::new() }
    }

    /// Believes that places are free; of `expired` ones that a reservation must be taken over.
    pub(super) fn note_free(&mut self, places: &[ClaimedPlace], is_expired: bool) {
        for place in places.iter().filter_map(|place| place_of(&self.layout, *place)) {
            self.map.set(&self.layout, place, Hold::Free);
            if is_expired {
                self.expired.insert(place);
            } else {
                self.expired.remove(&place);
            }
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
        for place in &plan.undo {
            self.map.set(&self.layout, *place, Hold::Free);
        }
    }

    /// A plan was written: what it took over is no longer expired.
    pub(super) fn done(&mut self, plan: &Plan) {
        for place in &plan.undo {
            self.expired.remove(place);
        }
    }

    /// Decides jobs in order and marks what they take.
    pub(super) fn plan(&mut self, jobs: &[&ClaimedJob], prepared: &Prepared) -> Plan {
        let mut plan = Plan::default();
        let mut usage: HashMap<UserId, Usage> = prepared.usage.clone();
        for job in jobs {
            if let Some((_, outcome)) = prepared.outcomes.get(&job.number) {
                plan.known.push((job.number, outcome.clone()));
                continue;
            }
            let Some(envelope) = &job.envelope else {
                plan.push(job.number, 0, UserId(0), Some(Outcome::Failed(Refusal::Internal)), Vec::new());
                continue;
            };
            let user = envelope.owner;
            let own = usage.entry(user).or_default();
            let places = match self.decide(job, prepared, *own) {
                Ok(places) => places,
                Err(refusal) => {
                    let stands_by = plan.note_refusal(refusal, user, envelope.request.named_seats())
                        && envelope.request.standby
                        && !self.map.is_all_sold(&self.layout);
                    let outcome = (!stands_by).then_some(Outcome::Failed(refusal));
                    plan.push(job.number, envelope.nonce, user, outcome, Vec::new());
                    continue;
                }
            };
            let booking = *own.open_booking.get_or_insert_with(BookingId::new);
            own.places += u32::try_from(places.len()).unwrap_or(u32::MAX);
            let (won, ids) = self.take(&mut plan, booking, &places, prepared.expires_at_ms);
            plan.push(job.number, envelope.nonce, user, Some(Outcome::Completed(won)), ids);
        }
        plan
    }

    fn decide(&mut self, job: &ClaimedJob, prepared: &Prepared, own: Usage) -> Result<Vec<Place>, Refusal> {
        let Some(envelope) = &job.envelope else { return Err(Refusal::Internal) };
        if prepared.is_closed {
            return Err(Refusal::SaleClosed);
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
            let id = match place {
                Place::Seat(index) => self.layout.seats.get(*index as usize).map(|seat| {
                    won.seats.push(seat.id);
                    ClaimedPlace::Seat(seat.id)
                }),
                Place::Slot(area, slot) => self.layout.areas.get(*area as usize).map(|area| {
                    won.slots.push((area.id, *slot));
                    ClaimedPlace::Slot(area.id, *slot)
                }),
            };
            let Some(id) = id else { continue };
            ids.push(id);
            if self.expired.contains(place) {
                plan.taken_over.push(id);
            }
            self.map.set(&self.layout, *place, Hold::Reserved);
            plan.undo.push(*place);
        }
        (won, ids)
    }
}

impl Plan {
    fn push(
        &mut self,
        number: u64,
        nonce: u64,
        user: UserId,
        outcome: Option<Outcome>,
        places: Vec<ClaimedPlace>,
    ) {
        self.writes.push(JobWrite { number, nonce, user, outcome });
        self.places.push(places);
    }

    /// Notes what must hold under the lock for this refusal; true when it is for want of places.
    fn note_refusal(&mut self, refusal: Refusal, user: UserId, named: &[SeatId]) -> bool {
        match refusal {
            Refusal::SeatTaken => {
                self.refused_seats.extend(named);
                true
            }
            Refusal::SoldOut | Refusal::NotEnoughAdjacent => {
                self.is_short = true;
                true
            }
            Refusal::LimitReached => {
                self.limited.push(user);
                false
            }
            Refusal::SaleClosed | Refusal::Left | Refusal::Removed | Refusal::Internal => false,
        }
    }
}
