//! The places of an event, which do not move.

use std::collections::HashMap;

use super::{AreaId, EventId, Money, SeatId, SectionId, TierId};

/// All places of one event in the order of their quality: sections, then rows, then seats. A seat's index in
/// [`Layout::seats`] is its name in memory and in the availability bits.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Of which event.
    pub event: EventId,
    /// Rises when places are added or removed.
    pub version: u32,
    /// Prices.
    pub tiers: Vec<Tier>,
    /// Blocks of rows.
    pub sections: Vec<Section>,
    /// Rows, best first.
    pub rows: Vec<Row>,
    /// Seats, row by row.
    pub seats: Vec<Seat>,
    /// General-admission areas.
    pub areas: Vec<Area>,
    by_id: HashMap<SeatId, u32>,
}

/// A price that seats or an area carry.
#[derive(Debug, Clone)]
pub struct Tier {
    /// Its id.
    pub id: TierId,
    /// As shown.
    pub name: String,
    /// For one place.
    pub price: Money,
}

/// A block of rows.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its id.
    pub id: SectionId,
    /// As shown.
    pub name: String,
}

/// Seats side by side.
#[derive(Debug, Clone)]
pub struct Row {
    /// Index of its section.
    pub section: u32,
    /// As shown.
    pub label: String,
    /// Index of its first seat.
    pub first: u32,
    /// How many seats.
    pub len: u32,
    /// The tier, when all its seats share one.
    pub tier: Option<TierId>,
}

/// A numbered place.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Its id.
    pub id: SeatId,
    /// Index of its row.
    pub row: u32,
    /// As shown.
    pub label: String,
    /// Its price.
    pub tier: TierId,
    /// Where it is drawn.
    pub x: f32,
    /// Where it is drawn.
    pub y: f32,
}

/// A general-admission area.
#[derive(Debug, Clone)]
pub struct Area {
    /// Its id.
    pub id: AreaId,
    /// As shown.
    pub name: String,
    /// The price of a place in it.
    pub tier: TierId,
    /// How many may be in it; its slots are numbered 1 to this.
    pub capacity: u32,
}

/// A seat as the store reads it, before rows are made of seats.
#[derive(Debug, Clone)]
pub struct SeatRecord {
    /// Its id.
    pub id: SeatId,
    /// Index of its section.
    pub section: u32,
    /// Label of its row.
    pub row: String,
    /// Its own label.
    pub label: String,
    /// Its price.
    pub tier: TierId,
    /// Where it is drawn.
    pub x: f32,
    /// Where it is drawn.
    pub y: f32,
}

impl Layout {
    /// Puts a layout together from seats in the order of section, row and seat.
    pub fn new(
        event: EventId,
        version: u32,
        tiers: Vec<Tier>,
        sections: Vec<Section>,
        records: Vec<SeatRecord>,
        areas: Vec<Area>,
    ) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        let mut seats = Vec::with_capacity(records.len());
        let mut by_id = HashMap::with_capacity(records.len());
        for record in records {
            let index = u32::try_from(seats.len()).unwrap_or(u32::MAX);
            match rows.last_mut() {
                Some(row) if row.section == record.section && row.label == record.row => {
                    row.len += 1;
                    row.tier = row.tier.filter(|tier| *tier == record.tier);
                }
                _ => rows.push(Row {
                    section: record.section,
                    label: record.row,
                    first: index,
                    len: 1,
                    tier: Some(record.tier),
                }),
            }
            by_id.insert(record.id, index);
            seats.push(Seat {
                id: record.id,
                row: u32::try_from(rows.len() - 1).unwrap_or(u32::MAX),
                label: record.label,
                tier: record.tier,
                x: record.x,
                y: record.y,
            });
        }
        Self { event, version, tiers, sections, rows, seats, areas, by_id }
    }

    /// The index of a seat; `None` for a seat of another event.
    pub fn index_of(&self, seat: SeatId) -> Option<u32> {
        self.by_id.get(&seat).copied()
    }

    /// The index of an area; `None` for one of another event.
    pub fn area_index(&self, area: AreaId) -> Option<u32> {
        let index = self.areas.iter().position(|known| known.id == area)?;
        u32::try_from(index).ok()
    }

    /// A tier of this event.
    pub fn tier(&self, tier: TierId) -> Option<&Tier> {
        self.tiers.iter().find(|known| known.id == tier)
    }

    /// How many people fit in: seats and the capacity of areas.
    pub fn capacity(&self) -> u64 {
        self.seats.len() as u64 + self.areas.iter().map(|area| u64::from(area.capacity)).sum::<u64>()
    }
}
