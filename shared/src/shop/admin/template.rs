//! A layout as a document: sections, rows, seats, and areas.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seats and the capacity of areas that a layout may have.
const PLACES: u64 = 250_000;
/// Sections, and areas, that it may have.
const BLOCKS: usize = 1_000;
/// Prices that it may have.
const TIERS: usize = 100;
/// Mistakes told at once.
const TOLD: usize = 20;

/// All places of a layout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Blocks of rows, best first.
    #[serde(default)]
    pub sections: Vec<TemplateSection>,
    /// General-admission areas.
    #[serde(default)]
    pub areas: Vec<TemplateArea>,
}

/// A block of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TemplateSection {
    /// As shown.
    pub name: String,
    /// Rows, best first.
    pub rows: Vec<TemplateRow>,
}

/// Seats side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TemplateRow {
    /// As shown.
    pub label: String,
    /// Side by side.
    pub seats: Vec<TemplateSeat>,
}

/// A numbered place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TemplateSeat {
    /// As shown.
    pub label: String,
    /// The name of the tier; an event has the price for it.
    pub tier: String,
    /// Where it is drawn; beside the one before if it is not told.
    #[serde(default)]
    pub x: Option<f32>,
    /// Where it is drawn.
    #[serde(default)]
    pub y: Option<f32>,
}

/// A general-admission area.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TemplateArea {
    /// As shown.
    pub name: String,
    /// How many may be in it.
    pub capacity: u32,
    /// The name of the tier.
    pub tier: String,
}

/// What is wrong with a document, as sentences, some of them.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    told: Vec<String>,
    more: usize,
}

impl Mistakes {
    pub(super) fn tell(&mut self, mistake: impl Into<String>) {
        if self.told.len() < TOLD {
            self.told.push(mistake.into());
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    pub(super) fn text(mut self) -> String {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told.join("; ")
    }
}

/// Whether text can stand on a ticket.
pub(super) fn is_label(text: &str, most: usize) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= most
        && !text.chars().any(char::is_control)
}

/// The number of something from 1, for drawing.
fn nth(index: usize) -> f32 {
    f32::from(u16::try_from(index + 1).unwrap_or(u16::MAX))
}

impl Template {
    /// How many seats it has.
    pub fn seats(&self) -> u32 {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        u32::try_from(rows.map(|row| row.seats.len()).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Seats and the capacity of areas.
    pub fn places(&self) -> u64 {
        u64::from(self.seats()) + self.areas.iter().map(|area| u64::from(area.capacity)).sum::<u64>()
    }

    /// Names of its tiers, in order of appearance.
    pub fn tiers(&self) -> Vec<String> {
        let seats = self.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats);
        let names = seats.map(|seat| &seat.tier).chain(self.areas.iter().map(|area| &area.tier));
        let mut known = HashSet::new();
        names.filter(|name| known.insert(name.as_str())).cloned().collect()
    }

    /// Gives every seat a place to be drawn at, and says what is wrong, if anything is.
    pub(super) fn check(&mut self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        if self.places() == 0 {
            mistakes.tell("a layout needs a seat or an area");
        }
        if self.places() > PLACES || self.sections.len() > BLOCKS || self.areas.len() > BLOCKS {
            mistakes
                .tell(format!("a layout has {PLACES} places, {BLOCKS} sections and {BLOCKS} areas at most"));
            return mistakes;
        }
        if self.tiers().len() > TIERS {
            mistakes.tell(format!("a layout has {TIERS} tiers at most"));
        }
        if let Some(tier) = self.tiers().iter().find(|tier| !is_label(tier, 100)) {
            mistakes.tell(format!("{tier:?} is no name of a tier: 1 to 100 characters"));
        }
        let mut names = HashSet::new();
        for section in &mut self.sections {
            if !is_label(&section.name, 100) || !names.insert(section.name.clone()) {
                mistakes.tell(format!(
                    "section {:?}: each needs a name of its own, of 1 to 100 characters",
                    section.name
                ));
            }
            section.check(&mut mistakes);
        }
        let mut names = HashSet::new();
        for area in &self.areas {
            if !is_label(&area.name, 100) || !names.insert(&area.name) {
                mistakes.tell(format!(
                    "area {:?}: each needs a name of its own, of 1 to 100 characters",
                    area.name
                ));
            }
            if !(1..=200_000).contains(&area.capacity) {
                mistakes.tell(format!("area {:?}: capacity must be 1 to 200,000", area.name));
            }
        }
        mistakes
    }
}

impl TemplateSection {
    fn check(&mut self, mistakes: &mut Mistakes) {
        let mut rows = HashSet::new();
        for (down, row) in self.rows.iter_mut().enumerate() {
            if !is_label(&row.label, 32) || !rows.insert(row.label.clone()) {
                mistakes.tell(format!(
                    "section {:?}, row {:?}: each needs a label of its own, of 1 to 32 characters",
                    self.name, row.label
                ));
            }
            let mut seats = HashSet::new();
            for (across, seat) in row.seats.iter_mut().enumerate() {
                if !is_label(&seat.label, 32) || !seats.insert(seat.label.clone()) {
                    mistakes.tell(format!(
                        "section {:?}, row {:?}, seat {:?}: each needs a label of its own, of 1 to 32 characters",
                        self.name, row.label, seat.label
                    ));
                }
                let x = seat.x.unwrap_or_else(|| nth(across) * 20.0);
                let y = seat.y.unwrap_or_else(|| nth(down) * 24.0);
                if x.abs() > 1e6 || y.abs() > 1e6 || !x.is_finite() || !y.is_finite() {
                    mistakes.tell(format!(
                        "section {:?}, row {:?}: x and y must be within a million",
                        self.name, row.label
                    ));
                }
                (seat.x, seat.y) = (Some(x), Some(y));
            }
        }
    }
}
