//! Places of an event that is on sale.

use std::collections::{BTreeMap, HashSet};

use super::template::is_label;
use super::{AdminError, Administration, invalid};
use crate::domain::{AreaId, BookingId, EventId, SeatId};
use crate::queue::Queue;
use crate::queue::feed::{SeatsChanged, Told};
use crate::store::{
    AddedPlaces, By, ClaimedPlace, Cut, NewSeat, Removal, RemovedPlace, Resizing, Store, StoreError,
};

/// Seats in one call at most: workers wait for it.
const SEATS: usize = 2_000;
/// Why nothing is removed for the moment.
const PAYING: &str = "somebody is paying for such a place right now; try again in some minutes";

/// Parts of what an area loses that are taken away before an admin is answered; the sweeper goes on.
const PARTS: usize = 5;

/// What became of places that were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlacesRemoved {
    /// Taken out of somebody's cart.
    pub held: usize,
    /// Paid for; the money goes back.
    pub sold: usize,
    /// Still somebody's; they are taken away within minutes.
    pub left: u64,
}

impl PlacesRemoved {
    /// All of these, and those before them.
    fn add(&mut self, more: Self) {
        self.held += more.held;
        self.sold += more.sold;
        self.left = more.left;
    }

    /// Nothing is left, or nothing that can go now.
    fn is_over(&self) -> bool {
        self.left == 0 || self.held + self.sold == 0
    }
}

impl Administration {
    /// Adds seats to an event, all or none; their ids.
    ///
    /// # Errors
    /// There is no such event or tier, or a seat is there already.
    pub async fn add_seats(
        &self,
        event: EventId,
        seats: &[NewSeat],
        by: &By,
    ) -> Result<Vec<SeatId>, AdminError> {
        check_seats(seats)?;
        match self.store.add_seats(event, seats, by).await? {
            AddedPlaces::Done(added) => {
                // Whoever stands by is asked again: there is more than before.
                let changed = SeatsChanged { seats: added.clone(), ..SeatsChanged::default() };
                announce(&self.queue, event, &changed).await;
                Ok(added)
            }
            AddedPlaces::NoEvent => Err(AdminError::NotFound("event")),
            AddedPlaces::NoTier(tier) => invalid(format!("this event has no tier {tier:?}")),
            AddedPlaces::Exists(place) => invalid(format!("this event has {place} already")),
        }
    }

    /// Removes seats of an event, all or none. Whoever had one is told, and gets their money back if they had paid.
    ///
    /// # Errors
    /// There is no such event or seat, or somebody is paying for one at this moment.
    pub async fn remove_seats(
        &self,
        event: EventId,
        seats: &[SeatId],
        by: &By,
    ) -> Result<PlacesRemoved, AdminError> {
        let distinct: HashSet<SeatId> = seats.iter().copied().collect();
        if !(1..=SEATS).contains(&seats.len()) || distinct.len() != seats.len() {
            return invalid(format!("seatIds must be 1 to {SEATS} different ones"));
        }
        match self.store.remove_seats(event, seats, by).await? {
            Removal::Done(removed) => Ok(tell(&self.queue, event, &removed, 0).await),
            Removal::NotFound => Err(AdminError::NotFound("seat of this event")),
            Removal::BeingPaid => Err(AdminError::InUse(PAYING)),
        }
    }

    /// Gives an area another capacity; places above it are removed as [`Self::remove_seats`] does, the first ones at once
    /// and the others by the sweeper. Nobody gets one any more.
    ///
    /// # Errors
    /// There is no such event or area, or somebody is paying for a place that would go.
    pub async fn resize_area(
        &self,
        event: EventId,
        area: AreaId,
        capacity: u32,
        by: &By,
    ) -> Result<PlacesRemoved, AdminError> {
        if !(1..=200_000).contains(&capacity) {
            return invalid("capacity must be 1 to 200,000");
        }
        match self.store.resize_area(event, area, capacity, by).await? {
            Resizing::Begun => Ok(cut_area(&self.store, &self.queue, (event, area)).await?),
            Resizing::NotFound => Err(AdminError::NotFound("area of this event")),
            Resizing::BeingPaid => Err(AdminError::InUse(PAYING)),
        }
    }
}

/// Takes some parts of the places above an area's new capacity away, and tells whose they were.
pub(in crate::shop) async fn cut_area(
    store: &Store,
    queue: &Queue,
    (event, area): (EventId, AreaId),
) -> Result<PlacesRemoved, StoreError> {
    let mut all = PlacesRemoved::default();
    for _ in 0..PARTS {
        let Cut { removed, left } = store.cut_area(event, area).await?;
        let part = tell(queue, event, &removed, left).await;
        all.add(part);
        if part.is_over() {
            break;
        }
    }
    Ok(all)
}

/// Tells whose places were removed: nobody else shall see them free.
async fn tell(queue: &Queue, event: EventId, removed: &[RemovedPlace], left: u64) -> PlacesRemoved {
    let sold = removed.iter().filter(|place| place.is_sold).count();
    let changed = SeatsChanged { told: told(removed), ..SeatsChanged::default() };
    announce(queue, event, &changed).await;
    PlacesRemoved { held: removed.len() - sold, sold, left }
}

/// It is only a hint: without Redis gateways find out within half a minute.
async fn announce(queue: &Queue, event: EventId, changed: &SeatsChanged) {
    if let Err(error) = queue.announce_seats(event, changed).await {
        tracing::warn!(
            event.id = event.0,
            error = crate::telemetry::chain(&error),
            "changed places could not be announced"
        );
    }
}

fn check_seats(seats: &[NewSeat]) -> Result<(), AdminError> {
    if !(1..=SEATS).contains(&seats.len()) {
        return invalid(format!("seats must be 1 to {SEATS}"));
    }
    let mut known = HashSet::new();
    for seat in seats {
        let is_named = is_label(&seat.section, 100) && is_label(&seat.row, 32) && is_label(&seat.label, 32);
        if !is_named {
            return invalid("each seat needs section, row and label of 1 to 100, 32 and 32 characters");
        }
        if seat.at.is_some_and(|(x, y)| !(x.abs() <= 1e6 && y.abs() <= 1e6)) {
            return invalid("x and y must be within a million");
        }
        if !is_label(&seat.tier, 100) {
            return invalid("each seat needs the name of a tier");
        }
        if !known.insert((&seat.section, &seat.row, &seat.label)) {
            return invalid(format!(
                "seat {:?} of row {:?} in {:?} stands there twice",
                seat.label, seat.row, seat.section
            ));
        }
    }
    Ok(())
}

fn told(removed: &[RemovedPlace]) -> Vec<Told> {
    let mut told: BTreeMap<BookingId, Told> = BTreeMap::new();
    for place in removed {
        let Some((user, booking)) = place.holder else { continue };
        let entry = told.entry(booking).or_insert_with(|| Told {
            user,
            booking,
            is_expiry: false,
            seats: Vec::new(),
            slots: Vec::new(),
        });
        match place.place {
            ClaimedPlace::Seat(seat) => entry.seats.push(seat),
            ClaimedPlace::Slot(area, slot) => entry.slots.push((area, slot)),
        }
    }
    told.into_values().collect()
}
