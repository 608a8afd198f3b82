//! Drawing on a page: texts that stay within their width, boxes, codes.

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::text::TextDirection;

use super::fonts::{Face, Fonts};
use crate::tickets::qr::Qr;

/// From one base line to the next, in sizes of the letters.
const LINE: f32 = 1.3;

/// A colour: red, green, blue.
pub(super) type Color = (u8, u8, u8);

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    pub(super) is_bold: bool,
    pub(super) color: Color,
}

/// Where a text stands: from its left edge on, or around the middle of its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Middle,
}

/// Where a paragraph goes: its left edge, the first base line, its width, and lines at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) lines: usize,
}

/// A page to draw on; `y` grows downwards.
pub(super) struct Canvas<'a, 'b> {
    surface: &'a mut Surface<'b>,
    fonts: &'static Fonts,
}

impl<'a, 'b> Canvas<'a, 'b> {
    pub(super) fn new(surface: &'a mut Surface<'b>, fonts: &'static Fonts) -> Self {
        Self { surface, fonts }
    }

    /// A filled box.
    pub(super) fn fill(&mut self, (x, y, width, height): (f32, f32, f32, f32), color: Color) {
        let mut path = PathBuilder::new();
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            path.push_rect(rect);
        }
        self.fill_path(path, color);
    }

    /// A line of short boxes, to tear or fold along.
    pub(super) fn dashes(&mut self, (x, y, width): (f32, f32, f32), color: Color) {
        let mut path = PathBuilder::new();
        let mut at = x;
        while at < x + width {
            if let Some(rect) = Rect::from_xywh(at, y, 4.0, 0.7) {
                path.push_rect(rect);
            }
            at += 8.0;
        }
        self.fill_path(path, color);
    }

    /// A QR code, this wide.
    pub(super) fn qr(&mut self, (x, y, side): (f32, f32, f32), qr: &Qr, color: Color) {
        let module = side / f32::from(qr.side());
        let mut path = PathBuilder::new();
        for run in qr.runs() {
            let (left, top) = (x + f32::from(run.x) * module, y + f32::from(run.y) * module);
            if let Some(rect) = Rect::from_xywh(left, top, f32::from(run.length) * module, module) {
                path.push_rect(rect);
            }
        }
        self.fill_path(path, color);
    }

    /// A text that is broken into lines, the last of which ends in dots when it does not fit; the base line below.
    pub(super) fn paragraph(&mut self, area: Area, style: Style, align: Align, text: &str) -> f32 {
        let face = self.face(style);
        let mut y = area.y;
        for line in lines(face, style.size, (area.width, area.lines), text) {
            let slack = area.width - face.width(&line, style.size);
            let x = area.x + if align == Align::Middle { slack / 2.0 } else { 0.0 };
            self.text((x, y), style, &line);
            y += style.size * LINE;
        }
        y
    }

    /// The base line below a paragraph, without drawing it; an empty one has one line too.
    pub(super) fn below(&self, area: Area, style: Style, text: &str) -> f32 {
        let lines = lines(self.face(style), style.size, (area.width, area.lines), text);
        lines.iter().fold(area.y, |y, _| y + style.size * LINE)
    }

    fn text(&mut self, (x, y): (f32, f32), style: Style, text: &str) {
        let font = self.face(style).font.clone();
        self.set_color(style.color);
        self.surface.draw_text(
            Point::from_xy(x, y),
            font,
            style.size,
            text,
            false,
            TextDirection::LeftToRight,
        );
    }

    fn face(&self, style: Style) -> &'static Face {
        if style.is_bold { &self.fonts.bold } else { &self.fonts.regular }
    }

    fn fill_path(&mut self, path: PathBuilder, color: Color) {
        self.set_color(color);
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
    }

    fn set_color(&mut self, (red, green, blue): Color) {
        let paint = rgb::Color::new(red, green, blue).into();
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(Fill { paint, ..Fill::default() }));
    }
}

/// Breaks a text between words, and within a word that is wider than a line.
fn lines(face: &Face, size: f32, (width, at_most): (f32, usize), text: &str) -> Vec<String> {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let fits = |line: &str| face.width(line, size) <= width;
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.pop().unwrap_or_default();
        let longer = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        if fits(&longer) {
            lines.push(longer);
            continue;
        }
        lines.extend((!last.is_empty()).then_some(last));
        let mut part = String::new();
        for letter in word.chars() {
            part.push(letter);
            if !fits(&part) {
                part.pop();
                lines.push(std::mem::replace(&mut part, letter.to_string()));
            }
        }
        lines.push(part);
        if lines.len() > at_most {
            break;
        }
    }
    if lines.len() > at_most {
        lines.truncate(at_most);
        if let Some(last) = lines.last_mut() {
            while !fits(&format!("{last}…")) && last.pop().is_some() {}
            last.push('…');
        }
    }
    lines
}
