//! PDF documents: a page a ticket, on paper (A4) or for a telephone's screen.

mod canvas;
mod fonts;
mod pages;

use bytes::Bytes;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;

use super::face::TicketFace;
use super::format::{RenderError, TicketFormat};
use super::qr::Qr;
use crate::domain::Language;
use canvas::Canvas;

/// For paper.
#[derive(Debug, Clone, Copy)]
pub struct A4;

/// For a telephone's screen.
#[derive(Debug, Clone, Copy)]
pub struct Phone;

impl TicketFormat for A4 {
    fn name(&self) -> &'static str {
        "a4"
    }

    fn media_type(&self) -> &'static str {
        "application/pdf"
    }

    fn extension(&self) -> &'static str {
        "pdf"
    }

    fn render(&self, tickets: &[TicketFace], language: Language) -> Result<Bytes, RenderError> {
        document(tickets, language, (595.0, 842.0), pages::paper)
    }
}

impl TicketFormat for Phone {
    fn name(&self) -> &'static str {
        "phone"
    }

    fn media_type(&self) -> &'static str {
        "application/pdf"
    }

    fn extension(&self) -> &'static str {
        "pdf"
    }

    fn render(&self, tickets: &[TicketFace], language: Language) -> Result<Bytes, RenderError> {
        document(tickets, language, (360.0, 800.0), pages::phone)
    }
}

/// One page a ticket, in points of a 72nd of an inch.
fn document(
    tickets: &[TicketFace],
    language: Language,
    (width, height): (f32, f32),
    draw: fn(&mut Canvas<'_, '_>, &TicketFace, &Qr, Language),
) -> Result<Bytes, RenderError> {
    let failed = |why: String| RenderError::Document(why);
    let fonts = fonts::fonts()?;
    let mut document = krilla::Document::new();
    let title = tickets.first().map(|ticket| format!("{} · {}", language.words().ticket, ticket.event));
    document.set_metadata(
        Metadata::new()
            .title(title.unwrap_or_default())
            .creator("Usher".to_owned())
            .language(language.word().to_owned()),
    );
    for ticket in tickets {
        let qr = Qr::new(&ticket.code)?;
        let settings =
            PageSettings::from_wh(width, height).ok_or_else(|| failed("no such page".to_owned()))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        draw(&mut Canvas::new(&mut surface, fonts), ticket, &qr, language);
        surface.finish();
        page.finish();
    }
    document.finish().map(Bytes::from).map_err(|error| failed(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tickets::tests::face;

    /// How many pages the page tree says there are.
    fn pages(pdf: &[u8]) -> usize {
        let text = String::from_utf8_lossy(pdf);
        let counts = text.split("/Count ").skip(1);
        counts
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn every_format_prints_a_page_a_ticket_in_every_language() {
        let mut long = face();
        long.event = "A name that nobody could ever remember, ".repeat(8);
        long.place = "Нескінченнодовгаслововмісці".repeat(6);
        long.artists = vec!["Somebody with a long name".to_owned(); 20];
        let mut strange = face();
        strange.event = "日本\u{0}\n\u{202e}🎫".to_owned();
        strange.artists.clear();
        strange.holder.clear();
        let tickets = [face(), long, strange];
        let formats: [&dyn TicketFormat; 2] = [&A4, &Phone];
        for format in formats {
            for language in Language::ALL {
                for count in 1..=tickets.len() {
                    let pdf = format.render(&tickets[..count], language).expect("a document");
                    assert!(pdf.starts_with(b"%PDF-"), "{} {language:?}", format.name());
                    assert_eq!(pages(&pdf), count, "{} {language:?}", format.name());
                    assert!(pdf.len() < 200_000, "only the letters that are used: {}", pdf.len());
                }
            }
        }
    }
}
