//! Layouts from CSV: lines `section,row,seat,tier,x,y`, and after a header of their own lines `area,capacity,tier`.

use std::collections::{HashMap, HashSet};

use csv::{ReaderBuilder, StringRecord};

use super::template::{
    Mistakes, Template, TemplateArea, TemplateRow, TemplateSeat, TemplateSection, is_label,
};

/// The header before seats; `x` and `y` may be left out.
const SEATS: [&str; 6] = ["section", "row", "seat", "tier", "x", "y"];
/// The header before areas.
const AREAS: [&str; 3] = ["area", "capacity", "tier"];

/// What the lines are that come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Seats,
    Areas,
}

/// A layout that grows line by line.
#[derive(Default)]
struct Growing {
    template: Template,
    sections: HashMap<String, usize>,
    /// By section and label.
    rows: HashMap<(usize, String), usize>,
    /// By section, row and label.
    seats: HashSet<(usize, usize, String)>,
    areas: HashSet<String>,
    mistakes: Mistakes,
}

/// Reads a layout; lines count from 1.
///
/// # Errors
/// What is wrong, with the lines.
pub(super) fn read(text: &[u8]) -> Result<Template, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text);
    let (mut growing, mut kind) = (Growing::default(), Kind::Nothing);
    let mut record = StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                growing.mistakes.tell(format!("line {line}: this is no text in UTF-8"));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        let header = header(&record);
        let put_in = match (header, kind) {
            (Some(header), _) => {
                kind = header;
                Ok(())
            }
            (None, Kind::Seats) => growing.seat(&record),
            (None, Kind::Areas) => growing.area(&record),
            (None, Kind::Nothing) => {
                Err(format!("expected the header {} or {}", SEATS.join(","), AREAS.join(",")))
            }
        };
        if let Err(mistake) = put_in {
            growing.mistakes.tell(format!("line {line}: {mistake}"));
            if kind == Kind::Nothing {
                break;
            }
        }
    }
    if growing.mistakes.is_empty() { Ok(growing.template) } else { Err(growing.mistakes.text()) }
}

fn header(record: &StringRecord) -> Option<Kind> {
    let is = |names: &[&str]| {
        record.len() == names.len()
            && record.iter().zip(names).all(|(cell, name)| cell.eq_ignore_ascii_case(name))
    };
    if is(&SEATS) || is(&SEATS[..4]) {
        Some(Kind::Seats)
    } else if is(&AREAS) {
        Some(Kind::Areas)
    } else {
        None
    }
}

fn label<'a>(record: &'a StringRecord, at: usize, name: &str, most: usize) -> Result<&'a str, String> {
    let cell = record.get(at).unwrap_or_default();
    if is_label(cell, most) { Ok(cell) } else { Err(format!("{name} must be 1 to {most} characters")) }
}

fn number(record: &StringRecord, at: usize, name: &str) -> Result<Option<f32>, String> {
    match record.get(at).unwrap_or_default() {
        "" => Ok(None),
        cell => cell
            .parse::<f32>()
            .ok()
            .filter(|value| value.is_finite())
            .map(Some)
            .ok_or_else(|| format!("{name} must be a number")),
    }
}

impl Growing {
    fn seat(&mut self, record: &StringRecord) -> Result<(), String> {
        if !(4..=6).contains(&record.len()) {
            return Err(format!("expected {}", SEATS.join(",")));
        }
        let (section, row) = (label(record, 0, "section", 100)?, label(record, 1, "row", 32)?);
        let (seat, tier) = (label(record, 2, "seat", 32)?, label(record, 3, "tier", 100)?);
        let (x, y) = (number(record, 4, "x")?, number(record, 5, "y")?);
        let sections = &mut self.template.sections;
        let at = *self.sections.entry(section.to_owned()).or_insert_with(|| {
            sections.push(TemplateSection { name: section.to_owned(), rows: Vec::new() });
            sections.len() - 1
        });
        let Some(known) = sections.get_mut(at) else { return Err("too many sections".to_owned()) };
        let line = *self.rows.entry((at, row.to_owned())).or_insert_with(|| {
            known.rows.push(TemplateRow { label: row.to_owned(), seats: Vec::new() });
            known.rows.len() - 1
        });
        if !self.seats.insert((at, line, seat.to_owned())) {
            return Err(format!("seat {seat:?} of row {row:?} in {section:?} was there before"));
        }
        if let Some(row) = known.rows.get_mut(line) {
            row.seats.push(TemplateSeat { label: seat.to_owned(), tier: tier.to_owned(), x, y });
        }
        Ok(())
    }

    fn area(&mut self, record: &StringRecord) -> Result<(), String> {
        if record.len() != AREAS.len() {
            return Err(format!("expected {}", AREAS.join(",")));
        }
        let (name, tier) = (label(record, 0, "area", 100)?, label(record, 2, "tier", 100)?);
        let capacity =
            record.get(1).and_then(|cell| cell.parse().ok()).filter(|count| (1..=200_000).contains(count));
        let capacity = capacity.ok_or("capacity must be 1 to 200,000")?;
        if !self.areas.insert(name.to_owned()) {
            return Err(format!("area {name:?} was there before"));
        }
        self.template.areas.push(TemplateArea { name: name.to_owned(), capacity, tier: tier.to_owned() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_and_areas_are_read_in_their_order() {
        let text = "\u{feff}section,row,seat,tier,x,y\nStalls,A,1,Front,1.5,2\nStalls,A,2,Front,,\n\"Balcony, left\",B,1,Back,0,0\n\narea,capacity,tier\nFloor,800,Standing\n";
        let template = read(text.as_bytes()).expect("it is read");
        assert_eq!((template.seats(), template.places()), (3, 803));
        assert_eq!(template.tiers(), ["Front", "Back", "Standing"]);
        assert_eq!(template.sections[1].name, "Balcony, left");
        assert_eq!(template.sections[0].rows[0].seats[0].x, Some(1.5));
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let text = "section,row,seat,tier,x,y\nStalls,A,1,Front,1,2\nStalls,A,1,Front,1,2\nStalls,,3,Front,1,2\nStalls,A,4,Front,east,2\narea,capacity,tier\nFloor,0,Standing\nFloor\n";
        let told = read(text.as_bytes()).expect_err("it is not read");
        for (line, word) in
            [(3, "was there before"), (4, "row"), (5, "x must"), (7, "capacity"), (8, "expected")]
        {
            assert!(told.contains(&format!("line {line}: ")) && told.contains(word), "{told}");
        }
        assert!(read(b"1,2,3\n").expect_err("no header").contains("line 1: expected the header"));
        assert!(read(b"section,row,seat,tier\nStalls,A,1,\xff\n").expect_err("no text").contains("line 2"));
    }
}
