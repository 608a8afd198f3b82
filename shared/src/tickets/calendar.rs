//! Calendar files (RFC 5545).

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::face::TicketFace;
use super::format::{RenderError, TicketFormat};
use crate::domain::Language;

/// How long an evening is taken to be; events have no end of their own.
const DURATION: &str = "PT3H";
/// Bytes of a line, without its end.
const LINE: usize = 75;

/// One entry a ticket. Its id is the ticket's, so that a file that is opened again moves the entry.
#[derive(Debug, Clone, Copy)]
pub struct Calendar;

impl TicketFormat for Calendar {
    fn name(&self) -> &'static str {
        "calendar"
    }

    fn media_type(&self) -> &'static str {
        "text/calendar; charset=utf-8"
    }

    fn extension(&self) -> &'static str {
        "ics"
    }

    fn render(&self, tickets: &[TicketFace], language: Language) -> Result<Bytes, RenderError> {
        let mut file = String::new();
        line(&mut file, "BEGIN", "VCALENDAR");
        line(&mut file, "VERSION", "2.0");
        line(&mut file, "PRODID", "-//Usher//Tickets//EN");
        line(&mut file, "CALSCALE", "GREGORIAN");
        for ticket in tickets {
            entry(&mut file, ticket, language);
        }
        line(&mut file, "END", "VCALENDAR");
        Ok(file.into())
    }
}

fn entry(file: &mut String, ticket: &TicketFace, language: Language) {
    let words = language.words();
    let mut about = ticket.artists.clone();
    about.push(format!("{}: {}", words.place, ticket.place));
    about.push(format!("{}: {}", words.number, ticket.number));
    line(file, "BEGIN", "VEVENT");
    line(file, "UID", &format!("{}@usher", ticket.id));
    line(file, "DTSTAMP", &utc(ticket.read_at));
    line(file, "DTSTART", &utc(ticket.starts_at));
    line(file, "DURATION", DURATION);
    line(file, "SUMMARY", &escape(&ticket.event));
    line(file, "LOCATION", &escape(&format!("{}, {}", ticket.venue, ticket.city)));
    line(file, "DESCRIPTION", &escape(&about.join("\n")));
    line(file, "END", "VEVENT");
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// Text as a value: what has a meaning in the file is marked, other control characters are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.replace("\r\n", "\n").chars() {
        match letter {
            '\\' | ';' | ',' => escaped.extend(['\\', letter]),
            '\n' => escaped.push_str("\\n"),
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Adds a line, folded after 75 bytes, never within a letter.
fn line(file: &mut String, name: &str, value: &str) {
    let mut length = 0;
    for letter in name.chars().chain([':']).chain(value.chars()) {
        if length + letter.len_utf8() > LINE {
            file.push_str("\r\n ");
            length = 1;
        }
        file.push(letter);
        length += letter.len_utf8();
    }
    file.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tickets::tests::face;

    fn render(ticket: TicketFace) -> String {
        let bytes = Calendar.render(&[ticket], Language::Uk).expect("a file");
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    }

    #[test]
    fn what_has_a_meaning_is_escaped_and_times_are_utc() {
        let mut ticket = face();
        ticket.event = "Rock; Roll, \\ and\r\nmore\u{7}".to_owned();
        let file = render(ticket.clone()).replace("\r\n ", "");
        assert!(file.contains("\r\nSUMMARY:Rock\\; Roll\\, \\\\ and\\nmore\r\n"), "{file}");
        assert!(file.contains("\r\nDTSTART:20270130T180000Z\r\n"), "{file}");
        assert!(file.contains(&format!("\r\nUID:{}@usher\r\n", ticket.id)), "{file}");
        assert!(file.contains("\\nМісце: Партер\\, ряд 12\\, місце 34\\n"), "{file}");
        assert!(file.starts_with("BEGIN:VCALENDAR\r\n") && file.ends_with("END:VCALENDAR\r\n"));
    }

    #[test]
    fn long_lines_are_folded_between_letters_and_put_together_again() {
        let mut ticket = face();
        ticket.event = "Дуже довга назва вечора ".repeat(20);
        let file = render(ticket.clone());
        assert!(file.split("\r\n").all(|line| line.len() <= LINE), "{file}");
        assert!(!file.replace("\r\n", "").contains('\n'), "every line ends with both");
        assert!(file.replace("\r\n ", "").contains(&format!("SUMMARY:{}\r\n", ticket.event)));
    }
}
