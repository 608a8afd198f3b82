//! One row of the table.

use serde::Serialize;

use crate::report::{Table, millis, thousands, whole};

/// Something that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "unit", content = "value", rename_all = "camelCase")]
pub enum Quantity {
    /// So many a second.
    PerSecond(f64),
    /// Milliseconds.
    Ms(f64),
    /// Bytes.
    Bytes(f64),
    /// How many.
    Count(u64),
    /// How many for each of something.
    Each(f64),
}

impl Quantity {
    fn value(self) -> f64 {
        match self {
            Self::PerSecond(value) | Self::Ms(value) | Self::Bytes(value) | Self::Each(value) => value,
            Self::Count(count) => crate::report::float(count),
        }
    }

    /// As tables have it.
    pub(crate) fn text(self) -> String {
        match self {
            Self::PerSecond(value) => format!("{} /s", thousands(whole(value))),
            Self::Ms(value) => millis(value),
            Self::Bytes(value) => format!("{:.1} kB", value / 1_000.0),
            Self::Count(count) => thousands(count),
            Self::Each(value) => format!("{value:.4}"),
        }
    }
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Target {
    /// At least this part of the machine's limit.
    RatioAtLeast {
        /// The part.
        ratio: f64,
    },
    /// More than the machine's limit, which here is another measurement of ours.
    RatioAbove {
        /// The part.
        ratio: f64,
    },
    /// At most this.
    AtMost {
        /// What.
        limit: Quantity,
    },
    /// Exactly this.
    Exactly {
        /// What.
        count: Quantity,
    },
    /// Nothing is promised; it is only told.
    Nothing,
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::RatioAtLeast { ratio } => format!("≥ {ratio:.2} of it"),
            Self::RatioAbove { ratio } => format!("> {ratio:.2} of it"),
            Self::AtMost { limit } => format!("≤ {}", limit.text()),
            Self::Exactly { count } => format!("= {}", count.text()),
            Self::Nothing => "–".to_owned(),
        }
    }
}

/// A figure.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// What came out; `None` when it could not be measured.
    pub measured: Option<Quantity>,
    /// What this machine can do at all.
    pub limit: Option<Quantity>,
    /// The one by the other.
    pub ratio: Option<f64>,
    /// What is promised.
    pub target: Target,
    /// Whether it was kept.
    pub is_ok: bool,
    /// What else there is to say.
    pub note: String,
}

impl Row {
    /// A row from a measurement.
    pub fn new(name: impl Into<String>, measured: Quantity, limit: Option<Quantity>, target: Target) -> Self {
        let ratio = limit.filter(|limit| limit.value() > 0.0).map(|limit| measured.value() / limit.value());
        let is_ok = match target {
            Target::RatioAtLeast { ratio: least } => ratio.is_some_and(|ratio| ratio >= least),
            Target::RatioAbove { ratio: least } => ratio.is_some_and(|ratio| ratio > least),
            Target::AtMost { limit } => measured.value() <= limit.value(),
            Target::Exactly { count } => measured == count,
            Target::Nothing => true,
        };
        Self { name: name.into(), measured: Some(measured), limit, ratio, target, is_ok, note: String::new() }
    }

    /// A row that could not be measured.
    pub fn failed(name: impl Into<String>, why: String) -> Self {
        Self {
            name: name.into(),
            measured: None,
            limit: None,
            ratio: None,
            target: Target::Nothing,
            is_ok: false,
            note: why,
        }
    }

    /// The same with a note, unless that is empty.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Errors that must be none: the row holds only without them.
    #[must_use]
    pub fn without_errors(mut self, errors: u64, complaints: &str) -> Self {
        if errors > 0 {
            self.is_ok = false;
            self.note = format!("{errors} without success: {complaints}");
        }
        self
    }
}

/// The rows as a table, with what else there is to say below it.
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["figure", "measured", "this machine", "ratio", "promised", "kept"], &[4, 5]);
    let mut notes = Vec::new();
    for row in rows {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.add([
            row.name.clone(),
            or_dash(row.measured.map(Quantity::text)),
            or_dash(row.limit.map(Quantity::text)),
            or_dash(row.ratio.map(|ratio| format!("{ratio:.2}"))),
            row.target.text(),
            if row.is_ok { "ok" } else { "MISSED" }.to_owned(),
        ]);
        if !row.note.is_empty() {
            notes.push(format!("  {}: {}", row.name, row.note));
        }
    }
    let mut text = table.text();
    if !notes.is_empty() {
        text = format!("{text}\n\n{}", notes.join("\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_holds_what_is_promised_against_what_was_measured() {
        let (fast, limit) = (Quantity::PerSecond(40_000.0), Some(Quantity::PerSecond(100_000.0)));
        assert!(Row::new("a", fast, limit, Target::RatioAtLeast { ratio: 0.35 }).is_ok);
        assert!(!Row::new("a", fast, limit, Target::RatioAtLeast { ratio: 0.5 }).is_ok);
        assert!(!Row::new("a", fast, None, Target::RatioAtLeast { ratio: 0.1 }).is_ok);
        let most = Target::AtMost { limit: Quantity::Ms(15.0) };
        assert!(Row::new("a", Quantity::Ms(15.0), None, most).is_ok);
        assert!(!Row::new("a", Quantity::Ms(1.0), None, most).without_errors(1, "1 × 500").is_ok);
    }
}
