//! Who has what at an event, as shoppers see it, kept in memory by a gateway.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Hold, Layout, Place, SeatMap};
use crate::queue::board::LaneBoard;
use crate::queue::feed::Change;
use crate::store::ClaimedPlace;

/// The status of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeatStatus {
    /// Free.
    Available,
    /// In somebody's cart.
    Reserved,
    /// Sold.
    Sold,
    /// Free, and somebody who waits in line has named it.
    InQueue,
}

impl SeatStatus {
    /// The two bits of the availability document.
    pub fn bits(self) -> u8 {
        match self {
            Self::Available => 0,
            Self::Reserved => 1,
            Self::Sold => 2,
            Self::InQueue => 3,
        }
    }
}

/// The seats of one event, and what changed since watchers were last told.
#[derive(Debug, Clone)]
pub struct LiveSeats {
    /// The places.
    pub layout: Arc<Layout>,
    map: SeatMap,
    version: u64,
    /// The version that watchers were last told.
    told: u64,
    changed: BTreeSet<u32>,
    /// Places were added or removed: what watchers know of the order of seats is no longer true.
    is_relaid: bool,
}

impl LiveSeats {
    /// From what PostgreSQL says. `version` must differ from every one before.
    pub fn new(layout: Arc<Layout>, claims: &[(ClaimedPlace, Hold)], version: u64) -> Self {
        let mut map = SeatMap::new(&layout);
        for (place, hold) in claims {
            if let Some(place) = place_of(&layout, *place) {
                map.set(&layout, place, *hold);
            }
        }
        Self { layout, map, version, told: 0, changed: BTreeSet::new(), is_relaid: false }
    }

    /// Goes on from what was known before: what differs, and what was not told yet, is told with the next changes.
    pub fn follow(&mut self, before: &Self) {
        self.told = before.told;
        self.is_relaid = before.is_relaid || before.layout.version != self.layout.version;
        self.changed.clone_from(&before.changed);
        let count = before.map.seats().len().max(self.map.seats().len());
        let differs = |index: &u32| {
            let state = |map: &SeatMap| map.seats().get(*index as usize).copied();
            state(&before.map) != state(&self.map)
        };
        let differing: Vec<u32> = (0..u32::try_from(count).unwrap_or(0)).filter(differs).collect();
        self.changed.extend(differing);
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Places that nobody has.
    pub fn free(&self) -> u64 {
        self.map.free()
    }

    /// Places of an area that nobody has, by the area's index.
    pub fn area_free(&self, area: u32) -> u32 {
        self.map.area_free(area)
    }

    /// What PostgreSQL and the line say of a seat.
    pub fn status(&self, index: u32, board: &LaneBoard) -> SeatStatus {
        match self.map.get(Place::Seat(index)) {
            Hold::Reserved => SeatStatus::Reserved,
            Hold::Sold => SeatStatus::Sold,
            Hold::Free => {
                let seat = self.layout.seats.get(index as usize);
                if seat.is_some_and(|seat| board.is_wanted(seat.id)) {
                    SeatStatus::InQueue
                } else {
                    SeatStatus::Available
                }
            }
        }
    }

    /// Puts in what the feed says.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Done(done) => {
                for told in &done.told {
                    for seat in &told.seats {
                        self.set(ClaimedPlace::Seat(*seat), Hold::Free);
                    }
                    for (area, slot) in &told.slots {
                        self.set(ClaimedPlace::Slot(*area, *slot), Hold::Free);
                    }
                }
                for (_, _, won) in &done.won {
                    for seat in &won.seats {
                        self.set(ClaimedPlace::Seat(*seat), Hold::Reserved);
                    }
                    for (area, slot) in &won.slots {
                        self.set(ClaimedPlace::Slot(*area, *slot), Hold::Reserved);
                    }
                }
            }
            Change::Seats(changed) => {
                for seat in &changed.seats {
                    self.set(ClaimedPlace::Seat(*seat), Hold::Free);
                }
                for (area, slot) in &changed.slots {
                    self.set(ClaimedPlace::Slot(*area, *slot), Hold::Free);
                }
                for seat in &changed.sold {
                    self.set(ClaimedPlace::Seat(*seat), Hold::Sold);
                }
                for (area, slot) in &changed.sold_slots {
                    self.set(ClaimedPlace::Slot(*area, *slot), Hold::Sold);
                }
            }
            Change::Added { named, .. } => {
                for seat in named.iter().flat_map(|(_, seats)| seats) {
                    self.touch(*seat);
                }
            }
            Change::Claimed(_)
            | Change::GivenBack
            | Change::Recalled(_)
            | Change::Reentered(_)
            | Change::Control { .. } => {}
        }
    }

    /// Notes that the overlay of a seat may have changed.
    pub fn touch(&mut self, seat: crate::domain::SeatId) {
        if let Some(index) = self.layout.index_of(seat) {
            self.changed.insert(index);
            self.version += 1;
        }
    }

    /// Notes that watchers are being told this version; false when they were told it already.
    pub fn note_told(&mut self, version: u64) -> bool {
        std::mem::replace(&mut self.told, version) != version
    }

    /// Whether places were added or removed since the last call.
    pub fn take_relaid(&mut self) -> bool {
        std::mem::take(&mut self.is_relaid)
    }

    /// The seats that changed since the last call, in order.
    pub fn take_changed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    fn set(&mut self, place: ClaimedPlace, hold: Hold) {
        let Some(place) = place_of(&self.layout, place) else { return };
        if self.map.set(&self.layout, place, hold) != hold {
            self.version += 1;
            if let Place::Seat(index) = place {
                self.changed.insert(index);
            }
        }
    }

    /// The availability document, as `docs/API.md` describes it.
    pub fn encode(&self, board: &LaneBoard) -> Vec<u8> {
        let count = |length: usize| u32::try_from(length).unwrap_or(0).to_le_bytes();
        let layout = &self.layout;
        let mut bytes = Vec::with_capacity(24 + layout.seats.len() / 4 + layout.areas.len() * 12);
        bytes.extend(b"UA01");
        bytes.extend(layout.version.to_le_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(count(layout.seats.len()));
        bytes.extend(count(layout.areas.len()));
        let first = bytes.len();
        bytes.resize(first + layout.seats.len().div_ceil(4), 0);
        let mut put = |index: usize, status: SeatStatus| {
            bytes[first + index / 4] |= status.bits() << (index % 4 * 2);
        };
        for (index, hold) in self.map.seats().iter().enumerate() {
            match hold {
                Hold::Free => {}
                Hold::Reserved => put(index, SeatStatus::Reserved),
                Hold::Sold => put(index, SeatStatus::Sold),
            }
        }
        for seat in board.wanted() {
            if let Some(index) = layout.index_of(seat)
                && self.map.get(Place::Seat(index)) == Hold::Free
            {
                put(index as usize, SeatStatus::InQueue);
            }
        }
        for (index, area) in (0u32..).zip(&layout.areas) {
            bytes.extend(u32::try_from(area.id.0).unwrap_or(0).to_le_bytes());
            bytes.extend(area.capacity.to_le_bytes());
            bytes.extend(self.area_free(index).to_le_bytes());
        }
        bytes
    }
}

/// A place by its index in the layout; `None` for one of another event.
pub(super) fn place_of(layout: &Layout, place: ClaimedPlace) -> Option<Place> {
    match place {
        ClaimedPlace::Seat(seat) => layout.index_of(seat).map(Place::Seat),
        ClaimedPlace::Slot(area, slot) => layout.area_index(area).map(|area| Place::Slot(area, slot)),
    }
}
