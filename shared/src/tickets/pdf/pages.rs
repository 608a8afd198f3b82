//! What stands where.

use super::canvas::{Align, Area, Canvas, Color, Style};
use crate::domain::Language;
use crate::tickets::face::TicketFace;
use crate::tickets::number::TicketNumber;
use crate::tickets::qr::Qr;

const INK: Color = (23, 27, 46);
const GREY: Color = (107, 112, 130);
const PALE: Color = (205, 209, 222);
const WHITE: Color = (255, 255, 255);
const GOLD: Color = (240, 180, 41);

const fn plain(size: f32, color: Color) -> Style {
    Style { size, is_bold: false, color }
}

const fn bold(size: f32, color: Color) -> Style {
    Style { size, is_bold: true, color }
}

/// A ticket on the upper half of a sheet of A4, to be folded below.
pub(super) fn paper(canvas: &mut Canvas<'_, '_>, ticket: &TicketFace, qr: &Qr, language: Language) {
    const LEFT: f32 = 48.0;
    const WIDTH: f32 = 499.0;
    const SIDE: f32 = 196.0;
    let top = head(canvas, ticket, language, (595.0, LEFT, 24.0)) + 42.0;
    let mut y = top + 4.0;
    for (label, value, style) in fields(ticket, language) {
        y = field(canvas, Area { x: LEFT, y, width: 275.0, lines: 2 }, (&label, &value), style) + 12.0;
    }
    canvas.qr((LEFT + WIDTH - SIDE, top, SIDE), qr, INK);
    number(canvas, ticket, language, (LEFT + WIDTH - SIDE, top + SIDE + 24.0, SIDE));
    let below = y.max(top + SIDE + 60.0) + 12.0;
    canvas.dashes((LEFT, below, WIDTH), PALE);
    let hint = Area { x: LEFT, y: below + 24.0, width: WIDTH, lines: 4 };
    canvas.paragraph(hint, plain(9.0, GREY), Align::Left, language.words().hint);
}

/// A ticket as high as a telephone's screen, the code as large as it can be.
pub(super) fn phone(canvas: &mut Canvas<'_, '_>, ticket: &TicketFace, qr: &Qr, language: Language) {
    const LEFT: f32 = 24.0;
    const WIDTH: f32 = 312.0;
    const SIDE: f32 = 276.0;
    let top = head(canvas, ticket, language, (360.0, LEFT, 18.0)) + 24.0;
    canvas.qr((LEFT + (WIDTH - SIDE) / 2.0, top, SIDE), qr, INK);
    let below = top + SIDE + 22.0;
    number(canvas, ticket, language, (LEFT, below, WIDTH));
    canvas.dashes((LEFT, below + 32.0, WIDTH), PALE);
    let mut y = below + 52.0;
    for (label, value, style) in fields(ticket, language) {
        let lines = if style.size > 12.0 { 2 } else { 1 };
        let style = Style { size: style.size.min(12.0), ..style };
        y = field(canvas, Area { x: LEFT, y, width: WIDTH, lines }, (&label, &value), style) + 2.0;
    }
    let hint = Area { x: LEFT, y: y + 14.0, width: WIDTH, lines: 3 };
    canvas.paragraph(hint, plain(8.0, GREY), Align::Left, language.words().hint);
}

/// The band with the event's name, on a page this wide; where it ends.
fn head(
    canvas: &mut Canvas<'_, '_>,
    ticket: &TicketFace,
    language: Language,
    (width, left, size): (f32, f32, f32),
) -> f32 {
    let line = |y, lines| Area { x: left, y, width: width - 2.0 * left, lines };
    let (name, artists) = (bold(size, WHITE), plain(11.0, PALE));
    let who = ticket.artists.join(" · ");
    let first = line(44.0 + size, 2);
    let last = canvas.below(first, name, &ticket.event);
    let height = canvas.below(line(last, 1), artists, &who) + 6.0;
    canvas.fill((0.0, 0.0, width, height), INK);
    canvas.fill((0.0, height, width, 4.0), GOLD);
    let ticket_word = language.words().ticket.to_uppercase();
    canvas.paragraph(line(36.0, 1), bold(10.0, GOLD), Align::Left, &ticket_word);
    canvas.paragraph(first, name, Align::Left, &ticket.event);
    canvas.paragraph(line(last, 1), artists, Align::Left, &who);
    height + 4.0
}

/// What there is to say, with labels, the most important first.
fn fields(ticket: &TicketFace, language: Language) -> Vec<(String, String, Style)> {
    let words = language.words();
    let when = format!("{} ({})", words.when, ticket.time_zone);
    let fields = [
        (when.as_str(), language.date(ticket.starts_there), bold(12.0, INK)),
        (words.venue, format!("{}, {}", ticket.venue, ticket.city), plain(12.0, INK)),
        (words.place, ticket.place.clone(), bold(15.0, INK)),
        (words.tier, ticket.tier.clone(), plain(12.0, INK)),
        (words.price, language.money(&ticket.price), plain(12.0, INK)),
        (words.holder, ticket.holder.clone(), plain(12.0, INK)),
    ];
    let told = fields.into_iter().filter(|(_, value, _)| !value.trim().is_empty());
    told.map(|(label, value, style)| (label.to_owned(), value, style)).collect()
}

/// A label with its value below; where it ends.
fn field(canvas: &mut Canvas<'_, '_>, area: Area, (label, value): (&str, &str), style: Style) -> f32 {
    let y = canvas.paragraph(Area { lines: 1, ..area }, plain(8.0, GREY), Align::Left, label);
    canvas.paragraph(Area { y: y + style.size * 0.45, ..area }, style, Align::Left, value)
}

/// The number in groups, below the code.
fn number(
    canvas: &mut Canvas<'_, '_>,
    ticket: &TicketFace,
    language: Language,
    (x, y, width): (f32, f32, f32),
) {
    let area = Area { x, y, width, lines: 1 };
    canvas.paragraph(area, plain(8.0, GREY), Align::Middle, language.words().number);
    let grouped = ticket.number.parse().map_or_else(|_| ticket.number.clone(), TicketNumber::grouped);
    canvas.paragraph(Area { y: y + 18.0, ..area }, bold(14.0, INK), Align::Middle, &grouped);
}
