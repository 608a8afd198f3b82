//! What is measured of Usher.

use anyhow::Result;
use clap::ValueEnum;

use super::{adding, memory, position, processing, recovery, reserve};
use crate::figures::Quantity;
use crate::lab::Lab;

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Measure {
    /// Jobs added a second, one by one
    Add,
    /// Jobs added a second, in bulk
    AddBulk,
    /// Jobs done a second that do nothing
    Process,
    /// Jobs done a second that write to PostgreSQL, and the same without a queue
    ProcessPostgres,
    /// Places told a second with 100,000 jobs waiting
    Position,
    /// How long a job whose worker was lost waits for another one
    Recovery,
    /// Bytes of Redis per waiting job
    Memory,
}

/// What was measured of Usher.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// The result.
    pub(super) quantity: Quantity,
    /// What else there is to say.
    pub(super) note: String,
}

impl Measured {
    /// A result of which there is nothing else to say.
    pub(super) fn new(quantity: Quantity) -> Self {
        Self { quantity, note: String::new() }
    }

    /// The same with a note.
    pub(super) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Measure {
    /// As on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Measures Usher.
    pub(super) async fn of_usher(self, lab: &Lab) -> Result<Measured> {
        match self {
            Self::Add => adding::one_by_one(lab).await,
            Self::AddBulk => adding::in_bulk(lab).await,
            Self::Process => processing::measure(lab).await,
            Self::ProcessPostgres => reserve::measure(lab).await,
            Self::Position => position::measure(lab).await,
            Self::Recovery => recovery::measure(lab).await,
            Self::Memory => memory::measure(lab).await,
        }
    }
}
