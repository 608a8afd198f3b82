//! The table.

use super::compare::{Line, Promise, Side};
use crate::figures::Quantity;
use crate::report::{Table, thousands, whole};

const DASH: &str = "–";

/// The lines as a table, with what else there is to say below it. Peers are called as in `names`: the one in Node, and
/// the Rust port where it was measured.
pub(super) fn text(lines: &[Line], names: (&str, Option<&str>)) -> String {
    let (bullmq, port) = names;
    let mut headings = vec!["measure", "Usher", bullmq, "ratio", "promised", "kept"];
    if let Some(port) = port {
        headings.extend([port, "ratio", "promised", "kept"]);
    }
    let mut table = Table::new(&headings, &[4, 5, 8, 9]);
    let mut notes = Vec::new();
    for line in lines {
        let mut cells = vec![line.name.to_owned(), quantity(line.bullmq.row.measured)];
        cells.extend(beside(Some(&line.bullmq)));
        if port.is_some() {
            cells.extend(beside(line.port.as_ref()));
        }
        table.add(cells);
        notes.extend(note(line, bullmq, port));
    }
    let notes = if notes.is_empty() { String::new() } else { format!("\n\n{}", notes.join("\n")) };
    format!("{}{notes}", table.text())
}

fn beside(side: Option<&Side>) -> [String; 4] {
    let Some(side) = side else { return [DASH; 4].map(str::to_owned) };
    let kept = match (side.promise, side.row.is_ok) {
        (_, false) => "MISSED",
        (Promise::Nothing, true) => DASH,
        (Promise::Times(_) | Promise::NoMore, true) => "ok",
    };
    [quantity(side.row.limit), ratio(side.row.ratio), side.promise.text(), kept.to_owned()]
}

fn note(line: &Line, bullmq: &str, port: Option<&str>) -> Option<String> {
    let said = |name: &str, note: &str| (!note.is_empty()).then(|| format!("{name}: {note}"));
    let parts = [
        said("Usher", &line.note),
        said(bullmq, &line.bullmq.row.note),
        port.zip(line.port.as_ref()).and_then(|(name, side)| said(name, &side.row.note)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("  {}: {}", line.name, parts.join("; ")))
}

fn quantity(quantity: Option<Quantity>) -> String {
    match quantity {
        // A job weighs some hundred bytes.
        Some(Quantity::Bytes(value)) => format!("{} B", thousands(whole(value))),
        Some(quantity) => quantity.text(),
        None => DASH.to_owned(),
    }
}

fn ratio(ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) if ratio >= 1_000.0 => format!("{}×", thousands(whole(ratio))),
        Some(ratio) if ratio >= 10.0 => format!("{ratio:.1}×"),
        Some(ratio) => format!("{ratio:.2}×"),
        None => DASH.to_owned(),
    }
}
