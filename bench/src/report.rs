//! Printing: progress goes to standard error, results to standard output.

use std::io::Write as _;

/// Tells what is going on.
pub fn say(text: &str) {
    // Nobody reads it any more, then.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a result.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A table in plain text; the first column is aligned to the left, the others as told.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    left: Vec<usize>,
}

impl Table {
    /// A table with these headings; columns whose number is in `left` are aligned to the left.
    pub fn new(headings: &[&str], left: &[usize]) -> Self {
        Self { rows: vec![headings.iter().map(|&text| text.to_owned()).collect()], left: left.to_vec() }
    }

    /// Adds a row.
    pub fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no row but its headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Its text, with a rule under the headings.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |at: usize| {
            self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        for (nth, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                if at == 0 || self.left.contains(&at) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            lines.push(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned());
            if nth == 0 {
                lines.push(widths.iter().map(|&width| "─".repeat(width)).collect::<Vec<_>>().join("──"));
            }
        }
        lines.join("\n")
    }
}

/// A number with commas between its thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with as many decimals as mean something.
pub fn millis(ms: f64) -> String {
    if ms >= 1_000.0 {
        format!("{:.2} s", ms / 1_000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

/// A whole number as a float; exact up to 2⁵³, which no figure here reaches.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub fn float(number: u64) -> f64 {
    number as f64
}

/// The nearest whole number; none below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn table_aligns_its_columns() {
        let mut table = Table::new(&["call", "n"], &[]);
        table.add(["book".to_owned(), "7".to_owned()]);
        table.add(["a".to_owned(), "10".to_owned()]);
        assert_eq!(table.text(), "call   n\n────────\nbook   7\na     10");
    }
}
