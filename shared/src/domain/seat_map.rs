//! Who has what, as one process believes. It proposes; PostgreSQL decides.

use super::Layout;

/// A place by its index in the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Index of a seat.
    Seat(u32),
    /// Index of an area, and a slot from 1 to its capacity.
    Slot(u32, u32),
}

/// What is believed of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Nobody has it.
    #[default]
    Free,
    /// In a cart, or being paid for.
    Reserved,
    /// Sold.
    Sold,
}

/// The state of every place of an event.
#[derive(Debug, Clone)]
pub struct SeatMap {
    seats: Vec<Hold>,
    rows: Vec<RowState>,
    areas: Vec<AreaState>,
    first_open_row: usize,
    /// By whether it must be clean, and by its size: no group fits into a row before this one. A hall that sells from the
    /// front leaves a seat or two in many rows, and nobody is to look at all of them again.
    first_fit: [[u32; GROUPS]; 2],
    free: u64,
    sold: u64,
}

/// Sizes of groups whose rows are remembered; larger ones look from the first open row.
const GROUPS: usize = 16;

/// What is known of a row without looking at its seats.
#[derive(Debug, Clone, Default)]
struct RowState {
    free: u32,
    /// Bit q: no group of q fits without leaving a single seat; good until the row changes.
    no_clean_fit: u32,
    /// Bit q: no group of q fits at all.
    no_fit: u32,
}

#[derive(Debug, Clone)]
struct AreaState {
    slots: Vec<Hold>,
    free: u32,
    /// No slot below this index is free.
    lowest: usize,
}

impl SeatMap {
    /// A map on which everything is free.
    pub fn new(layout: &Layout) -> Self {
        let rows = layout.rows.iter().map(|row| RowState { free: row.len, ..RowState::default() });
        let areas = layout.areas.iter().map(|area| AreaState {
            slots: vec![Hold::Free; area.capacity as usize],
            free: area.capacity,
            lowest: 0,
        });
        Self {
            seats: vec![Hold::Free; layout.seats.len()],
            rows: rows.collect(),
            areas: areas.collect(),
            first_open_row: 0,
            first_fit: [[0; GROUPS]; 2],
            free: layout.capacity(),
            sold: 0,
        }
    }

    /// What is believed of a place; a place that is not there counts as sold.
    pub fn get(&self, place: Place) -> Hold {
        match place {
            Place::Seat(index) => self.seats.get(index as usize).copied(),
            Place::Slot(area, slot) => self
                .areas
                .get(area as usize)
                .and_then(|area| area.slots.get((slot as usize).checked_sub(1)?).copied()),
        }
        .unwrap_or(Hold::Sold)
    }

    /// Notes what is true of a place; returns what was believed before.
    pub fn set(&mut self, layout: &Layout, place: Place, hold: Hold) -> Hold {
        let before = self.get(place);
        if before == hold {
            return before;
        }
        match place {
            Place::Seat(index) => {
                let (Some(seat), Some(state)) =
                    (layout.seats.get(index as usize), self.seats.get_mut(index as usize))
                else {
                    return before;
                };
                *state = hold;
                let row_index = seat.row as usize;
                if let Some(row) = self.rows.get_mut(row_index) {
                    row.no_clean_fit = 0;
                    row.no_fit = 0;
                    row.free = moved(row.free, before, hold);
                }
                for first in self.first_fit.as_flattened_mut() {
                    *first = (*first).min(seat.row);
                }
                if hold == Hold::Free {
                    self.first_open_row = self.first_open_row.min(row_index);
                }
            }
            Place::Slot(area, slot) => {
                let Some(area) = self.areas.get_mut(area as usize) else { return before };
                let index = (slot as usize).saturating_sub(1);
                let Some(state) = area.slots.get_mut(index) else { return before };
                *state = hold;
                area.free = moved(area.free, before, hold);
                if hold == Hold::Free {
                    area.lowest = area.lowest.min(index);
                }
            }
        }
        self.free = moved(self.free, before, hold);
        self.sold = self.sold + u64::from(hold == Hold::Sold) - u64::from(before == Hold::Sold);
        before
    }

    /// How many places are free.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// Nothing can come back any more: everything is sold.
    pub fn is_all_sold(&self, layout: &Layout) -> bool {
        self.sold == layout.capacity()
    }

    /// How many places of an area are free.
    pub fn area_free(&self, area: u32) -> u32 {
        self.areas.get(area as usize).map_or(0, |area| area.free)
    }

    /// The state of every seat, in the layout's order.
    pub fn seats(&self) -> &[Hold] {
        &self.seats
    }

    pub(super) fn row_free(&self, row: usize) -> u32 {
        self.rows.get(row).map_or(0, |row| row.free)
    }

    /// The first row that has a free seat.
    pub(super) fn first_open_row(&mut self) -> usize {
        while self.rows.get(self.first_open_row).is_some_and(|row| row.free == 0) {
            self.first_open_row += 1;
        }
        self.first_open_row
    }

    /// The first row in which a group may fit, as far as is known.
    pub(super) fn first_fit(&mut self, quantity: u32, is_clean: bool) -> usize {
        let known = self.first_fit[usize::from(is_clean)].get(quantity as usize).copied();
        let Some(mut first) = known else { return self.first_open_row() };
        while (first as usize) < self.rows.len() && !self.may_fit(first as usize, quantity, is_clean) {
            first += 1;
        }
        self.first_fit[usize::from(is_clean)][quantity as usize] = first;
        first as usize
    }

    pub(super) fn may_fit(&self, row: usize, quantity: u32, is_clean: bool) -> bool {
        self.rows.get(row).is_some_and(|row| {
            let misfits = if is_clean { row.no_clean_fit } else { row.no_fit };
            row.free >= quantity && misfits & bit(quantity) == 0
        })
    }

    pub(super) fn note_misfit(&mut self, row: usize, quantity: u32, is_clean: bool) {
        if let Some(row) = self.rows.get_mut(row) {
            let misfits = if is_clean { &mut row.no_clean_fit } else { &mut row.no_fit };
            *misfits |= bit(quantity);
        }
    }

    /// The lowest free slots of an area, fewer when there are not as many.
    pub(super) fn lowest_slots(&mut self, area: u32, quantity: usize) -> Vec<u32> {
        let Some(state) = self.areas.get_mut(area as usize) else { return Vec::new() };
        while state.slots.get(state.lowest).is_some_and(|hold| *hold != Hold::Free) {
            state.lowest += 1;
        }
        (1u32..)
            .zip(&state.slots)
            .skip(state.lowest)
            .filter(|(_, hold)| **hold == Hold::Free)
            .map(|(slot, _)| slot)
            .take(quantity)
            .collect()
    }
}

fn bit(quantity: u32) -> u32 {
    1u32.checked_shl(quantity).unwrap_or(0)
}

fn moved<N>(count: N, before: Hold, now: Hold) -> N
where
    N: std::ops::Add<Output = N> + std::ops::Sub<Output = N> + From<bool>,
{
    count + N::from(now == Hold::Free) - N::from(before == Hold::Free)
}
